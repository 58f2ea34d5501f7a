// The boxes of a clip in words: when each is there, through which places it goes, and how to be rid of it.

import { announce, h, replace } from "./dom.js";
import { bounded, wireRegion, withoutKey } from "./boxmodel.js";
import { clockTenths } from "./format.js";
import { icon } from "./icons.js";
import { texts } from "./texts.js";

/** Draw the list into a node. `hears`: change(n, region), remove(n), pick(n), seek(us); `at_us`: where the player stands. */
export function showBoxes(node, part, picked, hears, atUs) {
  const focused = node.contains(document.activeElement) ? document.activeElement.dataset.does : null;
  replace(node, part.regions.map((region, n) => row(region, n, part, n === picked, hears, atUs)));
  node.querySelector(`[data-does="${CSS.escape(focused ?? "")}"]`)?.focus({ preventScroll: true });
}

function row(region, n, part, isPicked, hears, atUs) {
  const t = texts.review;
  const pick = h("button", { type: "button", class: "small ghost", "aria-expanded": String(isPicked), data: { does: `pick-${n}` }, onclick: () => hears.pick(n) }, t.box(n + 1));
  const remove = h("button", { type: "button", class: "small ghost icon-only", "aria-label": t.removeBox(n + 1), data: { does: `remove-${n}` }, onclick: () => hears.remove(n) }, icon("trash"));
  return h("li", { class: isPicked && "picked" }, h("div", { class: "box-row" }, pick, h("span", { class: "quiet numbers" }, when(region, part)), remove), isPicked && details(region, n, hears, atUs));
}

function when(region, part) {
  const t = texts.review;
  if (wireRegion(region, part) === null) {
    return t.boxOutside;
  }
  const { from_us: from, until_us: until } = region;
  return from === null && until === null ? t.boxWhole : t.boxTimes(from && clockTenths(from), until && clockTenths(until));
}

function details(region, n, hears, atUs) {
  const t = texts.review;
  const button = (does, label, act) => h("button", { type: "button", class: "small", data: { does: `${does}-${n}` }, onclick: act }, label);
  const bound = (end) => () => hears.change(n, bounded(region, end, atUs()));
  const isBounded = region.from_us !== null || region.until_us !== null;
  return h(
    "div",
    { class: "box-details" },
    h("div", { class: "row" }, button("begins", t.begins, bound("from_us")), button("ends", t.ends, bound("until_us")), isBounded && button("whole", t.whole, () => hears.change(n, { ...region, from_us: null, until_us: null }))),
    region.keys.length > 1 && h("p", { class: "quiet" }, t.places),
    region.keys.length > 1 && h("ul", { class: "plain box-keys" }, region.keys.map((key) => place(region, n, key, hears))),
  );
}

function place(region, n, key, hears) {
  const t = texts.review;
  const time = clockTenths(key.at_us);
  return h(
    "li",
    {},
    h("button", { type: "button", class: "small numbers", "aria-label": t.placeAt(time), data: { does: `place-${n}-${key.at_us}` }, onclick: () => hears.seek(key.at_us) }, time),
    h("button", { type: "button", class: "small ghost icon-only", "aria-label": t.removePlace(time), data: { does: `forget-${n}-${key.at_us}` }, onclick: () => { hears.change(n, withoutKey(region, key.at_us)); announce(time); } }, icon("close", { size: 16 })),
  );
}
