// One notice for each request: a line above the page, and a notification of the browser where the owner allowed it by a
// button. The console sends each once for all its pages. There is one line for all of them, it takes room of its own
// and so lies over nothing, and it goes when what it tells of is looked at.

import { announce, h } from "./dom.js";
import { icon } from "./icons.js";
import { go, hrefs, routeOf } from "./router.js";
import { texts } from "./texts.js";

const MOST_SHOWN = 3;
const WANTED = "latchstring.notifications";

/** Whether the browser shows notices: "on", "off", "denied", or "none" where it can't. */
export function notificationState() {
  if (!("Notification" in window)) {
    return "none";
  }
  if (Notification.permission === "denied") {
    return "denied";
  }
  return Notification.permission === "granted" && localStorage.getItem(WANTED) === "yes" ? "on" : "off";
}

/** Ask the browser for leave; only ever called by a button. */
export async function allowNotifications() {
  if ((await Notification.requestPermission()) === "granted") {
    localStorage.setItem(WANTED, "yes");
  }
  return notificationState();
}

export function stopNotifications() {
  localStorage.removeItem(WANTED);
}

/** Show each notice that comes; while locked there are none, and nothing is lost: they wait in the list. */
export function watchNotices(context) {
  const line = new NoticeLine();
  window.addEventListener("hashchange", () => line.lookedAt(routeOf(location.hash)));
  return context.on("notice", ({ leaf, agency, incident }) => {
    const t = texts.requests;
    const words = t.notice(agency, t.incident(incident));
    line.add(leaf, words);
    if (notificationState() === "on") {
      const shown = new Notification(t.noticeTitle(agency), { body: words, tag: leaf });
      shown.addEventListener("click", () => { window.focus(); go(hrefs.request(leaf)); shown.close(); });
    }
  });
}

/** The newest notices, and how many more there are that nobody has looked at. */
class NoticeLine {
  #told = new Map();
  #element = null;

  add(leaf, words) {
    if (!this.#element?.isConnected) {
      this.#told.clear(); // dismissed, or taken away by a lock
    }
    const { name, parameters } = routeOf(location.hash);
    if ((name === "request" || name === "review") && parameters.leaf === leaf) {
      return; // just what one is looking at
    }
    this.#told.delete(leaf);
    this.#told.set(leaf, words);
    announce(words);
    this.#draw();
  }

  /** Somebody went to a page: what it shows need not be told. */
  lookedAt({ name, parameters }) {
    if (name === "requests") {
      this.#told.clear();
    } else if (!this.#told.delete(parameters.leaf)) {
      return;
    }
    this.#draw();
  }

  #draw() {
    this.#element?.remove();
    this.#element = null;
    if (this.#told.size === 0) {
      return;
    }
    const t = texts.requests;
    const newest = [...this.#told].slice(-MOST_SHOWN).reverse();
    const more = this.#told.size - newest.length;
    const where = this.#told.size > 1 ? hrefs.requests() : hrefs.request(newest[0][0]);
    this.#element = h(
      "div",
      { class: "news" },
      icon("bell"),
      h("div", {}, newest.map(([, words]) => h("p", {}, words)), more > 0 && h("p", {}, t.noticeMore(more))),
      h("button", { type: "button", class: "small", onclick: () => go(where) }, t.look),
      h("button", { type: "button", class: "ghost icon-only small", "aria-label": texts.common.dismiss, onclick: () => this.#element?.remove() }, icon("close")),
    );
    document.getElementById("toasts").prepend(this.#element);
  }
}
