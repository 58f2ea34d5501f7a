// Who asks, and what its public record says in figures: anybody can count the same in the log.

import { h } from "./dom.js";
import { fullDate, number, parseUs, squareMiles } from "./format.js";
import { texts } from "./texts.js";

const t = texts.request;

export function recordPanel({ agency, record }) {
  return h(
    "section",
    { class: "panel", "aria-labelledby": "who-title" },
    h("h2", { id: "who-title" }, t.who),
    h("p", {}, h("b", {}, agency.name), h("span", { class: "quiet" }, `, ${agency.domain}`)),
    h("dl", {}, h("dt", {}, t.admittedName), h("dd", {}, t.admitted(agency.admitted_by, fullDate(parseUs(agency.admitted_at)))), h("dt", {}, t.evidence), h("dd", {}, agency.evidence)),
    record && [h("h3", {}, t.record), figures(record), h("p", { class: "quiet" }, record.since_us && t.since(fullDate(record.since_us)), " ", record.asked > 1 ? t.meanOf(record.mean_area_m2) : t.firstRequest)],
  );
}

function figures(record) {
  const shown = [
    [number(record.asked), t.asked(record.asked)],
    [number(record.withdrawn), t.withdrawn],
    [number(record.turned_away), t.turnedAway],
    record.asked > 0 && [squareMiles(record.mean_area_m2), t.meanArea],
    record.deletions_asked !== undefined && [number(record.deletions_asked), t.deletionsAsked],
  ];
  return h("dl", { class: "figures" }, shown.filter(Boolean).map(([value, name]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}
