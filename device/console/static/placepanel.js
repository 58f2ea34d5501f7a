// How a request stands at one device: the clips that match, and what one can do.

import { api } from "./api.js";
import { askDeletion, openReceipt } from "./afterwards.js";
import { meansNo } from "./declining.js";
import { busy, h, replace } from "./dom.js";
import { picture } from "./eventlist.js";
import { capital, duration, moment, size } from "./format.js";
import { icon } from "./icons.js";
import { askMute, unmute } from "./mutes.js";
import { toast } from "./overlays.js";
import { play } from "./player.js";
import { stateChip } from "./requestcard.js";
import { go, hrefs } from "./router.js";
import { texts } from "./texts.js";

const t = texts.request;
const LEFT = new Set(["released", "received"]);

/** @returns {{element: HTMLElement, sending: (line: Object) => void}} `sending` shows how far an upload is */
export function placePanel(one, place, changed) {
  const progress = h("div", { class: "sending" });
  const sending = ({ sent_bytes: sent, total_bytes: total, state }) => replace(progress, state === "released" && uploadBar(sent, total));
  const element = h(
    "section",
    { class: "place", "aria-label": place.device },
    h("div", { class: "row between" }, h("h3", {}, place.device), stateChip(place, { named: false })),
    place.message && h("p", { class: "quiet" }, capital(place.message)),
    place.clips.length > 0 && clipList(place),
    progress,
    actions(one, place, changed),
  );
  if (place.state === "approved" || place.state === "released") {
    sending({ sent_bytes: place.sent_bytes, total_bytes: place.total_bytes, state: "released" });
  }
  return { element, sending };
}

function uploadBar(sent, total) {
  if (!total) {
    return h("p", { class: "quiet" }, sent ? t.sent(size(sent)) : capital(t.waitingToSend));
  }
  const words = t.sending(size(sent ?? 0), size(total));
  return [h("p", { class: "quiet numbers" }, words), h("span", { class: "progress", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": total, "aria-valuenow": sent ?? 0, "aria-label": words }, h("i", { style: { "--part": (sent ?? 0) / total } }))];
}

function clipList(place) {
  const { clips, device } = place;
  const button = (clip) => {
    const when = moment(clip.start_us);
    const length = duration(clip.end_us - clip.start_us);
    return h(
      "button",
      { type: "button", class: "event", "data-keep": `clip-${clip.clip}`, "aria-label": texts.day.play(texts.day.eventWhen(texts.day.clipOnly, when, length)), onclick: () => play({ device, clips, clip: clip.clip }) },
      picture(clip),
      h("span", { class: "event-words" }, h("span", {}, when), h("span", { class: "quiet numbers" }, length)),
      icon("play"),
    );
  };
  return h("ul", { class: "plain events one" }, clips.map((clip) => h("li", {}, button(clip))));
}

function actions(one, place, changed) {
  if (place.state === "offered") {
    return deciding(one, place, changed);
  }
  if (!LEFT.has(place.state)) {
    return null;
  }
  const { deletion, state } = place;
  return [
    place.received_us && h("p", {}, capital(t.receivedAt(moment(place.received_us)))),
    deletion && h("p", { class: "notice" }, `${capital(texts.ledger.deletion[deletion.state])}, ${moment(deletion.at_us)}`),
    h("div", { class: "row" }, state === "received" && receiptButton(one, place), mayAsk(place) && deletionButton(one, place, changed)),
  ];
}

/** Whether one can ask for deletion: something left, and no notice is on its way or told. */
export function mayAsk({ state, deletion }) {
  return LEFT.has(state) && (!deletion || deletion.state === "failed");
}

export function receiptButton(one, place) {
  const button = h("button", { type: "button", class: "small", "aria-label": texts.ledger.receiptOf(one.request.case), onclick: () => busy(button, () => openReceipt(one.leaf, place.device)) }, icon("download", { size: 16 }), texts.ledger.receipt);
  return button;
}

export function deletionButton(one, place, changed) {
  const button = h("button", { type: "button", class: "small", "aria-label": texts.ledger.deleteOf(one.agency.name, one.request.case), onclick: () => busy(button, () => askDeletion(one, place.device, changed)) }, icon("trash", { size: 16 }), texts.ledger.delete);
  return button;
}

function deciding(one, place, changed) {
  const no = h("button", { type: "button", class: "quiet-danger", "data-keep": `no-${place.device}`, onclick: () => busy(no, () => decline(one, place, changed)) }, t.decline);
  return [
    h("a", { class: "button primary wide-button", href: hrefs.review(one.leaf, place.device), "data-keep": `yes-${place.device}` }, t.review, icon("right")),
    h("p", { class: "hint" }, t.reviewWhat),
    h(
      "div",
      { class: "row" },
      no,
      h("button", { type: "button", "data-keep": `leave-${place.device}`, onclick: leave }, t.leave),
      muteButton(one, place, changed),
    ),
  ];
}

function muteButton(one, place, changed) {
  const { muted } = place;
  const button = h("button", { type: "button", class: "ghost", "data-keep": `mute-${place.device}`, onclick: () => (muted ? busy(button, () => unmute(one, place.device, changed)) : askMute(one, changed)) }, icon(muted ? "bell" : "mute"), muted ? t.unmute : t.mute);
  return button;
}

function leave() {
  toast(t.left);
  go(hrefs.requests());
}

async function decline(one, place, changed) {
  if (!(await meansNo(one.agency.name, place.device))) {
    return;
  }
  try {
    await api("/api/decline", { leaf: one.leaf, device: place.device });
    toast(t.declined, { kind: "good" });
    changed();
  } catch (error) {
    if (error.status === undefined) {
      throw error;
    }
    toast(error.message, { kind: "bad" });
  }
}
