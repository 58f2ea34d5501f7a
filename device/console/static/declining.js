// Saying no: what it means is said first, wherever one says it.

import { h } from "./dom.js";
import { confirmed } from "./overlays.js";
import { texts } from "./texts.js";

const t = texts.request;

/** Ask whether a device is to decline the request of an agency; resolves to true if the owner says so. */
export function meansNo(agency, device) {
  const body = h("ul", {}, t.declineMeans(device).map((line) => h("li", {}, line)));
  return confirmed({ title: t.declineAsk(agency), body, yes: t.declineYes, danger: true });
}
