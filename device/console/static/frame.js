// What stands around every view while the console is unlocked: the bar with its places, the count of what waits, the
// lock; and the change from one view to the next.

import { api } from "./api.js";
import { watchActivity } from "./activity.js";
import { busy, focusOn, h, replace } from "./dom.js";
import { icon, mark } from "./icons.js";
import { showError, toast } from "./overlays.js";
import { showWaiting } from "./requestgroup.js";
import { hrefs } from "./router.js";
import { texts } from "./texts.js";

const VIEWS = {
  home: () => import("./home.js"),
  requests: () => import("./requests.js"),
  request: () => import("./request.js"),
  review: () => import("./review.js"),
  ledger: () => import("./ledger.js"),
  settings: () => import("./settings.js"),
};
const PLACES = [["home", "door"], ["requests", "bell"], ["ledger", "ledger"], ["settings", "settings"]];
const SOON_S = 60;

export class Frame {
  #context;
  #main = h("main", { id: "main", class: "wide", tabindex: "-1" });
  #links = new Map();
  #count = h("span", { class: "count", hidden: true });
  #locks = h("span", { class: "locks numbers" });
  #cleanup = null;
  #turn = 0;
  #place = "";
  #waiting = 0;
  #warned = false;
  #stops;

  constructor(app, context) {
    this.#context = context;
    replace(app, this.#skip(), this.#bar(), this.#main);
    this.#stops = [
      context.on("tick", ({ lock_in_s: seconds }) => this.#tick(seconds)),
      context.on("requests", () => this.#countWaiting()),
      watchActivity(),
    ];
    this.#tick(context.state.lock_in_s);
    this.#countWaiting();
  }

  /** Show the view of a route; what the one before it started is ended first. */
  async go({ name, parameters }) {
    this.#turn += 1;
    const turn = this.#turn;
    const first = this.#place === "";
    this.#end();
    this.#place = name;
    this.#mark();
    const root = h("div", { class: ["view", `view-${name}`] });
    replace(this.#main, root);
    window.scrollTo(0, 0);
    try {
      const { view } = await VIEWS[name]();
      const cleanup = await view(root, parameters, this.#context);
      if (turn === this.#turn) {
        this.#cleanup = cleanup ?? null;
      } else {
        cleanup?.();
      }
    } catch (error) {
      if (turn === this.#turn) {
        showError(root, error.status === undefined ? new Error(texts.errors.view) : error, () => this.go({ name, parameters }));
      }
      if (error.status === undefined) {
        throw error; // ours; the browser's console says where
      }
    }
    if (!first && turn === this.#turn) {
      focusOn(this.#main.querySelector("h1") ?? this.#main);
    }
  }

  close() {
    this.#turn += 1;
    this.#end();
    this.#stops.forEach((stop) => stop());
    ["toasts", "said", "said-at-once"].forEach((id) => document.getElementById(id).replaceChildren()); // nothing of it outlives a lock
  }

  /** A dialog belongs to the view that it was opened from: Back takes both away. */
  #end() {
    document.querySelectorAll("dialog").forEach((dialog) => {
      dialog.close();
      dialog.remove(); // at once, and not when it hears of its end
    });
    this.#cleanup?.();
    this.#cleanup = null;
  }

  #skip() {
    return h("button", { type: "button", class: "skip", onclick: () => focusOn(this.#main) }, texts.common.skip);
  }

  #bar() {
    const lock = h("button", { type: "button", class: "bar-lock", onclick: () => busy(lock, () => api("/api/lock", {})) }, icon("lock"), h("span", {}, texts.common.lock));
    return h(
      "header",
      { class: "bar" },
      h(
        "div",
        { class: "wide" },
        h("a", { class: "brand", href: hrefs.home() }, mark(), h("span", {}, texts.common.name)),
        h("nav", { "aria-label": texts.common.main }, PLACES.map(([name, drawing]) => this.#link(name, drawing))),
        h("div", { class: "bar-end" }, this.#locks, lock),
      ),
    );
  }

  #link(name, drawing) {
    const link = h("a", { href: hrefs[name](), onclick: () => { if (name === "requests" && this.#waiting > 0) { showWaiting(); } } }, icon(drawing), h("span", {}, texts.common.places[name]), name === "requests" && this.#count);
    this.#links.set(name, link);
    return link;
  }

  #mark() {
    const current = { request: "requests", review: "requests" }[this.#place] ?? this.#place;
    for (const [name, link] of this.#links) {
      link.toggleAttribute("aria-current", name === current);
      if (name === current) {
        link.setAttribute("aria-current", "page");
      }
    }
    this.#title();
  }

  #title() {
    document.title = texts.common.title(texts.common.places[this.#place] ?? texts.common.name, this.#waiting);
  }

  async #countWaiting() {
    const { requests } = await api("/api/requests", undefined, { unattended: true }).catch(() => ({ requests: null }));
    if (requests) {
      this.#waiting = requests.filter(({ group }) => group === "waiting").length;
      replace(this.#count, h("span", { "aria-hidden": "true" }, this.#waiting), h("span", { class: "unseen" }, texts.common.waiting(this.#waiting)));
      this.#count.hidden = this.#waiting === 0;
      this.#title();
    }
  }

  #tick(seconds) {
    if (seconds === null || seconds === undefined) {
      return;
    }
    const left = Math.round(seconds);
    this.#locks.textContent = texts.common.locksIn(left);
    this.#locks.classList.toggle("soon", left <= SOON_S);
    if (left > SOON_S) {
      this.#warned = false;
    } else if (!this.#warned) {
      this.#warned = true;
      toast(texts.common.locksSoon(left));
    }
  }
}
