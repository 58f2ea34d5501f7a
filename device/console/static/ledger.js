// The ledger: whether it holds, every decision and what left, what was given; with exports.

import { api } from "./api.js";
import { exportLedger } from "./afterwards.js";
import { busy, h, replace } from "./dom.js";
import { capital, moment, size } from "./format.js";
import { icon } from "./icons.js";
import { showError } from "./overlays.js";
import { deletionButton, mayAsk, receiptButton } from "./placepanel.js";
import { hrefs } from "./router.js";
import { texts } from "./texts.js";

const t = texts.ledger;

/** See `home.js` for the shape of a view. */
export async function view(root, _, context) {
  const content = h("div", { class: "stack" }, h("div", { class: "skeleton skeleton-card" }), h("div", { class: "skeleton skeleton-day" }));
  replace(root, h("h1", {}, t.title), h("p", { class: "lead" }, t.lead), content);
  let told = "";
  const refresh = async () => {
    try {
      const quiet = { unattended: true };
      const [{ devices }, { requests }] = await Promise.all([api("/api/ledger", undefined, quiet), api("/api/requests", undefined, quiet)]);
      if (JSON.stringify([devices, requests]) !== told) {
        told = JSON.stringify([devices, requests]);
        replace(content, given(requests, refresh), devices.map(device));
      }
    } catch (error) {
      if (error.status === undefined) {
        throw error;
      }
      showError(content, error, refresh);
    }
  };
  const stop = context.on("requests", refresh);
  await refresh();
  return stop;
}

/** What agencies hold of this household, each with its receipt and the way to ask for deletion. */
function given(requests, changed) {
  const held = requests.flatMap((one) => one.places.filter(({ state }) => state === "received").map((place) => [one, place])).filter(([one]) => one.request);
  if (held.length === 0) {
    return null;
  }
  const row = ([one, place]) => h(
    "li",
    { class: "row between" },
    h(
      "div",
      {},
      h("a", { href: hrefs.request(one.leaf) }, `${one.agency.name}, ${texts.requests.case(one.request.case)}`),
      h("p", { class: "quiet" }, `${place.device}, ${texts.request.receivedAt(moment(place.received_us ?? place.changed_us))}`, place.deletion && `, ${t.deletion[place.deletion.state]} (${moment(place.deletion.at_us)})`),
    ),
    h("div", { class: "row" }, receiptButton(one, place), mayAsk(place) && deletionButton(one, place, changed)),
  );
  return h("section", { class: "panel", "aria-labelledby": "given-title" }, h("h2", { id: "given-title" }, t.given), h("ul", { class: "plain rows" }, held.map(row)));
}

function device(one) {
  const id = `ledger-${one.device}`;
  const keep = h("button", { type: "button", class: "small", "aria-label": t.exportOf(one.device), onclick: () => busy(keep, () => exportLedger(one.device)) }, icon("download", { size: 16 }), t.export);
  return h(
    "section",
    { class: "panel", "aria-labelledby": id },
    h("div", { class: "row between" }, h("h2", { id }, one.device), !one.away && one.entries.length > 0 && keep),
    one.away ? h("p", { class: "notice" }, t.isAway(one.device)) : verdict(one),
    one.entries.length > 0 && table(one),
    !one.away && one.entries.length > 0 && h("p", { class: "quiet" }, t.exportWhat),
  );
}

function verdict(one) {
  if (!one.holds) {
    return h("div", { class: "notice bad" }, h("p", {}, h("b", {}, t.broken), one.problem && ` ${capital(one.problem)}.`), h("p", {}, t.brokenWhat));
  }
  if (one.entries.length === 0) {
    return h("div", { class: "empty" }, h("h3", {}, t.empty), h("p", {}, t.emptyWhy));
  }
  return h("p", { class: "row" }, h("span", { class: "chip good long" }, icon("shield", { size: 16 }), t.holds(one.entries.length)));
}

function table({ entries, device: name }) {
  const c = t.columns;
  return h(
    "div",
    { class: "scroll", role: "region", tabindex: "0", "aria-label": t.entriesOf(name) },
    h("table", { class: "ledger" }, h("thead", {}, h("tr", {}, [c.when, c.what, c.who, c.left].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, entries.map(entry))),
  );
}

function entry(one) {
  const left = one.kind === "approved" ? [h("span", {}, t.left(one.clips, one.bytes === null ? "" : `, ${size(one.bytes)}`)), one.recipient && h("code", { class: "recipient", title: one.recipient }, t.sealedTo(shortened(one.recipient)))] : one.kind === "declined" ? t.nothing : (one.reason ?? "");
  const who = one.request && (one.agency ? `${one.agency}, ${texts.requests.case(one.case)}` : one.request.slice(0, 12));
  return h(
    "tr",
    {},
    h("td", { "data-name": t.columns.when, class: "numbers" }, moment(one.at_us)),
    h("td", { "data-name": t.columns.what }, t.kind(one.kind)),
    h("td", { "data-name": t.columns.who }, who && (one.agency ? h("a", { href: hrefs.request(one.request) }, who) : h("code", {}, who))),
    h("td", { "data-name": t.columns.left }, left && h("div", {}, left)),
  );
}

const shortened = (recipient) => `${recipient.slice(0, 10)}…${recipient.slice(-6)}`;
