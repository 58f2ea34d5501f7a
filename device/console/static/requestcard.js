// One request in the list: who asks about what, when, and how it stands at each device.

import { h } from "./dom.js";
import { capital, moment, parseUs, range } from "./format.js";
import { icon } from "./icons.js";
import { hrefs } from "./router.js";
import { texts } from "./texts.js";

const t = texts.requests;
const LOOK = {
  offered: "warn", approved: "tint", released: "tint", received: "good", undelivered: "bad", refused: "bad", withdrawn: "bad", away: "bad",
};
const DRAWING = { offered: "bell", approved: "send", released: "send", received: "check", undelivered: "alert", refused: "alert", declined: "close", expired: "clock", withdrawn: "close", away: "away" };

/** How a request stands at one device, as a chip with the device's name. */
export function stateChip(place, { named = true } = {}) {
  const words = texts.request.states[place.state] ?? place.state;
  const muted = place.state === "offered" && place.muted;
  return h(
    "span",
    { class: ["chip", !muted && LOOK[place.state]] },
    icon(muted ? "mute" : (DRAWING[place.state] ?? "info"), { size: 16 }),
    `${named ? `${place.device}: ` : ""}${words}${muted ? `, ${texts.request.mutedState}` : ""}`,
  );
}

/** A card that leads to the request. */
export function requestCard(one) {
  const { request } = one;
  if (request === null) {
    return h("article", { class: "card request" }, h("h2", {}, t.unreadable), one.places.map((place) => h("p", { class: "quiet" }, stateChip(place), ` ${place.message}`)));
  }
  const clips = one.places.reduce((sum, place) => sum + place.clips.length, 0);
  return h(
    "article",
    { class: "card action request" },
    h("p", { class: "quiet" }, t.by(one.agency.name)),
    h("h2", {}, h("a", { class: "cover", href: hrefs.request(one.leaf) }, `${capital(t.incident(request.incident))}, ${t.case(request.case)}`)),
    h("p", { class: "excerpt" }, request.description),
    h(
      "p",
      { class: "row quiet" },
      h("span", { class: "with-icon" }, icon("clock", { size: 16 }), range(parseUs(request.start), parseUs(request.end))),
      clips > 0 && h("span", { class: "with-icon" }, icon("camera", { size: 16 }), t.clips(clips)),
      one.group === "waiting" && h("span", {}, t.expires(moment(parseUs(request.expires_at)))),
    ),
    h("p", { class: "row" }, one.places.map((place) => stateChip(place))),
  );
}
