// Muting: what is not to be told any more, and the list in which that is undone.

import { api } from "./api.js";
import { busy, h } from "./dom.js";
import { date } from "./format.js";
import { icon } from "./icons.js";
import { dialog, toast } from "./overlays.js";
import { texts } from "./texts.js";

const t = texts.request;

/** The names of agencies by their short names, as far as requests tell them. */
export function agencyNames(requests) {
  return new Map(requests.filter(({ agency }) => agency).map(({ agency }) => [agency.agency, agency.name]));
}

function nameOf({ kind, value }, names) {
  return { agency: names.get(value) ?? value, incident: texts.requests.incident(value), device: value }[kind];
}

async function mute(what, on, said) {
  try {
    await api("/api/mute", { ...what, on });
    toast(said, { kind: "good" });
  } catch (error) {
    if (error.status === undefined) {
      throw error;
    }
    toast(error.message, { kind: "bad" });
  }
}

/** What is muted, each with a button that undoes it; nothing where nothing is. */
export function muteList({ mutes, requests }, changed) {
  if (mutes.length === 0) {
    return null;
  }
  const names = agencyNames(requests);
  const row = ({ kind, value, since_us: since }) => {
    const name = nameOf({ kind, value }, names);
    const undo = h("button", {
      type: "button", class: "small", "aria-label": t.undoMute(name),
      onclick: () => busy(undo, async () => { await mute({ kind, value }, false, t.unmuteDone(name)); changed(); }),
    }, t.undo);
    return h("li", { class: "row between" }, h("span", {}, h("span", { class: "quiet" }, `${t.muteKinds[kind]}: `), h("b", {}, name), h("span", { class: "quiet" }, `, ${t.mutedSince(date(since))}`)), undo);
  };
  return h("section", { class: "panel mutes" }, h("h2", {}, icon("mute"), t.mutes), h("ul", { class: "plain rows" }, mutes.map(row)));
}

/** Undo all that mutes a request at a device. */
export async function unmute(one, device, changed) {
  try {
    const { mutes, requests } = await api("/api/requests");
    const names = agencyNames(requests);
    const about = { agency: one.request.agency, incident: one.request.incident, device };
    for (const { kind, value } of mutes.filter((mute_) => about[mute_.kind] === mute_.value)) {
      await mute({ kind, value }, false, t.unmuteDone(nameOf({ kind, value }, names)));
    }
  } catch (error) {
    if (error.status === undefined) {
      throw error;
    }
    toast(error.message, { kind: "bad" });
  }
  changed();
}

/** Ask what of a request to mute; resolves once the dialog is closed. */
export async function askMute(one, changed) {
  const choices = [
    { kind: "agency", value: one.request.agency, name: one.agency.name },
    { kind: "incident", value: one.request.incident, name: texts.requests.incident(one.request.incident) },
    ...one.places.map(({ device }) => ({ kind: "device", value: device, name: device })),
  ];
  const button = ({ kind, value, name }) => {
    const element = h("button", {
      type: "button", class: "choice",
      onclick: () => busy(element, async () => { await mute({ kind, value }, true, t.muteDone[kind](name)); opened.close(); changed(); }),
    }, t.muteBy[kind](name));
    return element;
  };
  const opened = dialog({ title: t.muteTitle, body: [h("p", {}, t.muteWhat), h("div", { class: "stack tight" }, choices.map(button))] });
  await opened.closed;
}
