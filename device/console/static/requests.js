// The list of requests, in groups; and what was muted, to be undone.

import { api } from "./api.js";
import { h, replace } from "./dom.js";
import { icon } from "./icons.js";
import { muteList } from "./mutes.js";
import { showError } from "./overlays.js";
import { chosenGroup, keepGroup } from "./requestgroup.js";
import { requestCard } from "./requestcard.js";
import { texts } from "./texts.js";

const t = texts.requests;
const GROUPS = ["waiting", "muted", "decided", "closed", "aside"];

/** See `home.js` for the shape of a view. */
export async function view(root, _, context) {
  const list = new Requests(root);
  const stop = context.on("requests", () => list.refresh());
  await list.refresh();
  return stop;
}

class Requests {
  #root;
  #group = chosenGroup();
  #tabs;
  #panel = h("div", { id: "group", role: "tabpanel", tabindex: "-1" });
  #away = h("div", { role: "status" });
  #mutes = h("div");
  #told = "";
  #found = { requests: [], mutes: [], away: [] };

  constructor(root) {
    this.#root = root;
    this.#tabs = GROUPS.map((group) => h("button", {
      type: "button", role: "tab", id: `tab-${group}`, "aria-controls": "group", onclick: () => this.#choose(group), onkeydown: (event) => this.#key(event),
    }));
    replace(
      root,
      h("h1", {}, t.title),
      h("p", { class: "lead" }, t.lead),
      h("div", { class: "tabs", role: "tablist", "aria-label": t.title }, this.#tabs),
      this.#away,
      replace(this.#panel, h("div", { class: "stack" }, h("div", { class: "skeleton skeleton-card" }), h("div", { class: "skeleton skeleton-card" }))),
      this.#mutes,
    );
    this.#mark();
  }

  async refresh() {
    try {
      const found = await api("/api/requests", undefined, { unattended: true });
      if (JSON.stringify(found) !== this.#told) {
        this.#told = JSON.stringify(found);
        this.#found = found;
        this.#draw();
      }
    } catch (error) {
      if (error.status === undefined) {
        throw error;
      }
      showError(this.#panel, error, () => this.refresh());
    }
  }

  #choose(group) {
    this.#group = group;
    keepGroup(group);
    this.#mark();
    this.#draw();
  }

  #key(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) {
      const at = (GROUPS.indexOf(this.#group) + by + GROUPS.length) % GROUPS.length;
      this.#choose(GROUPS[at]);
      this.#tabs[at].focus();
    }
  }

  #mark() {
    GROUPS.forEach((group, at) => {
      const chosen = group === this.#group;
      const many = this.#found.requests.filter((one) => one.group === group).length;
      this.#tabs[at].setAttribute("aria-selected", String(chosen));
      this.#tabs[at].tabIndex = chosen ? 0 : -1;
      replace(this.#tabs[at], t.tabs[group], this.#told && h("span", { class: ["count", group !== "waiting" && "pale"] }, many));
    });
    this.#panel.setAttribute("aria-labelledby", `tab-${this.#group}`);
  }

  #draw() {
    this.#mark();
    const { away } = this.#found;
    replace(this.#away, away.length > 0 && h("p", { class: "notice warn" }, t.away(away)));
    const shown = this.#found.requests.filter((one) => one.group === this.#group);
    replace(
      this.#panel,
      shown.length > 0 ? [h("p", { class: "quiet" }, t.tabWhat[this.#group]), h("ul", { class: "plain stack" }, shown.map((one) => h("li", {}, requestCard(one))))] : this.#nothing(),
    );
    replace(this.#mutes, muteList(this.#found, () => this.refresh()));
  }

  #nothing() {
    const drawing = { waiting: "check", muted: "mute" }[this.#group] ?? "ledger";
    return h("div", { class: "empty" }, icon(drawing, { size: 32 }), h("h2", {}, t.empty[this.#group]), h("p", {}, t.emptyWhy[this.#group]));
  }
}
