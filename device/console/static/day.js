// A day of one device: the line with its marks, the buttons to move on it, and the same as a list. Any of them plays.

import { api } from "./api.js";
import { announce, h, replace } from "./dom.js";
import { eventList } from "./eventlist.js";
import { dayBounds, dayOf, dayPlus, longDay, nowUs } from "./format.js";
import { icon } from "./icons.js";
import { showError } from "./overlays.js";
import { play } from "./player.js";
import { texts } from "./texts.js";
import { Timeline } from "./timeline.js";

const t = texts.day;
const FRESH_US = 60_000_000;
const AGAIN_MS = 4_000;

export class Day {
  #root;
  #devices;
  #onmove;
  #device = "";
  #day = "";
  #found = { events: [], clips: [], more: false };
  #turn = 0;
  #timer = 0;
  #title = h("h2", { id: "day-title" });
  #date;
  #choice = null;
  #next;
  #line = h("div", { class: "day-line" });
  #list = h("div", { class: "day-list" });
  #timeline = null;

  /** @param {{devices: string[], onmove: (device: string, day: string) => void}} how */
  constructor(root, { devices, onmove }) {
    this.#root = root;
    this.#devices = devices;
    this.#onmove = onmove;
    this.#date = h("input", { type: "date", "aria-label": t.date, onchange: () => this.#date.value && this.show(this.#device, this.#date.value) });
    this.#next = h("button", { type: "button", class: "icon-only", "aria-label": t.next, onclick: () => this.#step(1) }, icon("right"));
    replace(root, h("div", { class: "day-head" }, this.#title, this.#tools()), this.#line, this.#list);
  }

  get day() {
    return this.#day;
  }

  #tools() {
    if (this.#devices.length > 1) {
      this.#choice = h("select", { "aria-label": t.choose, onchange: () => this.show(this.#choice.value, this.#day) }, this.#devices.map((one) => h("option", { value: one }, one)));
    }
    return h(
      "div",
      { class: "row day-tools" },
      this.#choice,
      h("div", { class: "joined" }, h("button", { type: "button", class: "icon-only", "aria-label": t.previous, onclick: () => this.#step(-1) }, icon("left")), this.#date, this.#next),
      h("button", { type: "button", onclick: () => this.show(this.#device, dayOf(nowUs())) }, t.today),
    );
  }

  #step(days) {
    this.show(this.#device, dayPlus(this.#day, days));
  }

  /** Show a day of a device, from its beginning to its end here. */
  async show(device, day) {
    const moved = device !== this.#device || day !== this.#day;
    [this.#device, this.#day] = [device, day];
    this.#onmove(device, day);
    this.#title.textContent = t.title(device);
    this.#date.value = day;
    this.#next.setAttribute("aria-disabled", String(day >= dayOf(nowUs())));
    if (this.#choice) {
      this.#choice.value = device;
    }
    if (moved) {
      this.#timeline = null;
      replace(this.#line, h("div", { class: "skeleton skeleton-line" }));
      replace(this.#list, h("div", { class: "skeleton skeleton-list" }));
    }
    await this.refresh();
  }

  async refresh() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    const turn = this.#turn;
    const [from, until] = dayBounds(this.#day);
    const query = new URLSearchParams({ device: this.#device, from_us: from, until_us: until });
    try {
      const found = await api(`/api/day?${query}`, undefined, { unattended: true });
      if (turn === this.#turn) {
        this.#draw(found, from, until);
        this.#again(found);
      }
    } catch (error) {
      if (error.status === undefined) {
        throw error;
      }
      if (turn === this.#turn) {
        replace(this.#list);
        showError(this.#line, error, () => this.refresh());
      }
    }
  }

  /** A clip that was just filmed gets its end and its pictures in some seconds; nobody tells of that. */
  #again({ clips }) {
    const fresh = nowUs() - FRESH_US;
    if (clips.some(({ open, end_us: end, thumbnails }) => open || (thumbnails.length === 0 && end > fresh))) {
      this.#timer = setTimeout(() => this.refresh(), AGAIN_MS);
    }
  }

  #draw(found, from, until) {
    const same = this.#timeline !== null && JSON.stringify(marks(found)) === JSON.stringify(marks(this.#found));
    this.#found = found;
    if (same) {
      return; // only the pictures' addresses are new, and those in the page still hold
    }
    const events = found.events.toSorted((one, other) => one.start_us - other.start_us);
    const clips = found.clips.toSorted((one, other) => one.start_us - other.start_us);
    const onplay = (clip, at) => play({ device: this.#device, clips, clip, at });
    if (this.#timeline === null) {
      this.#timeline = new Timeline({ from, until, onplay });
      replace(this.#line, this.#timeline.element);
      announce(t.label(this.#device, longDay(from), events.length, clips.length));
    }
    this.#timeline.update({ events, clips, onplay, label: t.label(this.#device, longDay(from), events.length, clips.length) });
    replace(this.#list, found.more && h("p", { class: "notice" }, t.more), this.#entries(events, clips, onplay, from));
  }

  #entries(events, clips, onplay, from) {
    if (events.length === 0 && clips.length === 0) {
      return h("div", { class: "empty" }, icon("clock", { size: 32 }), h("h3", {}, t.empty), h("p", {}, from > nowUs() ? t.emptyFuture : t.emptyWhy));
    }
    return [h("h3", {}, t.list), eventList({ events, clips, onplay })];
  }

  close() {
    this.#turn += 1;
    clearTimeout(this.#timer);
  }
}

/** What of an answer changes the picture. */
function marks({ events, clips, more }) {
  return [events, clips.map(({ clip, start_us, end_us, open, thumbnails }) => [clip, start_us, end_us, open, thumbnails.length]), more];
}
