// What a request says: what is asked, what is promised, what was said since, and how one knows that it was said in public.

import { h, svg } from "./dom.js";
import { capital, date, length, list, moment, parseUs, range, share } from "./format.js";
import { texts } from "./texts.js";

const t = texts.request;
const AREA = { least: 64_750, most: 1_294_994 }; // m²: 0.025 and 0.5 square miles

function panel(id, title, ...children) {
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, title), children);
}

function facts(rows) {
  return h("dl", {}, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** What is asked: the words, the time, the place and how much of the widest place allowed it is. */
export function about({ request }) {
  const covered = Math.PI * request.area.radius_m ** 2;
  return panel(
    "asks-title",
    t.asks,
    h("p", { class: "words" }, request.description),
    facts([
      [t.when, range(parseUs(request.start), parseUs(request.end))],
      [t.where, [t.whereIs(length(request.area.radius_m), covered), scale(covered)]],
      [t.devices, t.kinds(request.devices)],
      [t.contact, request.contact],
      [t.posted, moment(parseUs(request.posted_at))],
      [t.expires, moment(parseUs(request.expires_at))],
    ]),
  );
}

/** A drawing to scale: the area asked for inside the widest that is allowed. */
function scale(covered) {
  const radius = 30 * Math.sqrt(Math.min(1, covered / AREA.most));
  return h(
    "span",
    { class: "scale" },
    svg("svg", { viewBox: "0 0 64 64", width: 64, height: 64, role: "img", "aria-label": t.scaleLabel(covered) }, svg("circle", { class: "most", cx: 32, cy: 32, r: 30 }), svg("circle", { class: "asked", cx: 32, cy: 32, r: radius })),
    h("span", { class: "quiet" }, t.scale(share(covered / AREA.most))),
  );
}

/** What the agency promises. */
export function termsPanel({ request }) {
  return panel(
    "terms-title",
    t.terms,
    facts([
      [t.purpose, request.purpose],
      [t.kept, t.days(request.retention_days)],
      [t.sharing, request.sharing.length > 0 ? list(request.sharing) : t.nobody],
      [t.excludes, list(request.excludes.map((code) => t.excluded[code] ?? code.replaceAll("-", " ")))],
    ]),
    h("p", { class: "quiet" }, t.termsNote),
  );
}

/** What the agency said of its request later; nothing where it said nothing. */
export function updatesPanel({ updates }) {
  if (!updates?.length) {
    return null;
  }
  const row = ({ kind, note, at }) => h("li", {}, h("b", {}, t.updateKinds[kind] ?? kind), h("span", { class: "quiet" }, `, ${date(parseUs(at))}`), h("br"), note);
  return panel("updates-title", t.updates, h("ul", { class: "plain rows" }, updates.map(row)));
}

/** How one knows that it was asked in public. */
export function proofPanel({ proof, leaf, request }) {
  return panel(
    "proof-title",
    t.proof,
    proof && h("p", {}, capital(proof)),
    h("details", {}, h("summary", {}, t.technical), facts([[t.leaf, h("code", {}, leaf)], [t.recipient, h("code", {}, request.recipient)]])),
  );
}
