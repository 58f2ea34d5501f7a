// The line of a day: clips as bars, events as marks, the hours below. One can zoom to hours, and go from event to event by
// keyboard; where it is zoomed to and which event is chosen stays when the day is told anew.

import { announce, h, replace, svg } from "./dom.js";
import { clipOf, eventWords } from "./eventlist.js";
import { clock, clockSeconds, duration, nowUs } from "./format.js";
import { icon } from "./icons.js";
import { texts } from "./texts.js";

const t = texts.day;
const WIDTH = 1_000;
const BAR = { y: 34, height: 22 };
const HEIGHT = 64;
const HOUR_US = 3_600_000_000;
const SPANS_H = [24, 12, 6, 3, 1, 0.25]; // what one may zoom to
const STEPS_H = [4, 2, 1, 0.5, 0.25, 1 / 12]; // between the hours that are written, for each span
const REACH = 12; // how near to a mark one may click, in the drawing's units

export class Timeline {
  #from;
  #until;
  #onplay;
  #events = [];
  #clips = [];
  #zoom = 0;
  #start;
  #chosen = -1;
  #svg;
  #hours = h("div", { class: "timeline-hours", "aria-hidden": "true" });
  #range = h("span", { class: "numbers quiet", "aria-live": "off" });
  #says = h("p", { class: "timeline-says", "aria-hidden": "true" });
  #buttons;

  /** @param {{from: number, until: number, onplay: (clip: string, at: number) => void}} how the day's bounds, in µs */
  constructor({ from, until, onplay }) {
    [this.#from, this.#until, this.#start, this.#onplay] = [from, until, from, onplay];
    this.#svg = svg("svg", {
      class: "timeline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "application", tabindex: "0", preserveAspectRatio: "none",
      "aria-roledescription": "timeline", onkeydown: (event) => this.#key(event), onclick: (event) => this.#click(event), onfocus: () => this.#say(),
    });
    this.#buttons = {
      earlier: this.#button("left", t.earlier, () => this.#move(-0.5)),
      later: this.#button("right", t.later, () => this.#move(0.5)),
      out: this.#button("minus", t.zoomOut, () => this.#zoomBy(-1)),
      in: this.#button("plus", t.zoomIn, () => this.#zoomBy(1)),
    };
    const { earlier, later, out, in: closer } = this.#buttons;
    this.element = h(
      "div",
      { class: "timeline-box" },
      h("div", { class: "row between timeline-tools" }, this.#range, h("div", { class: "row" }, this.#legend(), h("div", { class: "joined" }, earlier, out, closer, later))),
      this.#svg,
      this.#hours,
      this.#says,
    );
  }

  /** Tell the day anew. */
  update({ events, clips, onplay, label }) {
    [this.#events, this.#clips, this.#onplay] = [events, clips, onplay];
    this.#chosen = Math.min(this.#chosen, events.length - 1);
    this.#svg.setAttribute("aria-label", `${label} ${t.keys}`);
    this.#draw();
    this.#say({ quietly: true });
  }

  get #span() {
    return this.#zoom === 0 ? this.#until - this.#from : SPANS_H[this.#zoom] * HOUR_US;
  }

  #x(us) {
    return ((us - this.#start) / this.#span) * WIDTH;
  }

  #draw() {
    const end = this.#start + this.#span;
    this.#range.textContent = this.#zoom === 0 ? t.whole : t.range(clock(this.#start), clock(end));
    const { earlier, later, out, in: closer } = this.#buttons;
    earlier.setAttribute("aria-disabled", String(this.#start <= this.#from));
    later.setAttribute("aria-disabled", String(end >= this.#until));
    out.setAttribute("aria-disabled", String(this.#zoom === 0));
    closer.setAttribute("aria-disabled", String(this.#zoom === SPANS_H.length - 1));
    const times = this.#times();
    const edge = (x) => (x < 20 ? "first" : x > WIDTH - 20 && "last");
    replace(this.#hours, times.map((at) => h("span", { class: edge(this.#x(at)), style: { "--at": this.#x(at) / WIDTH } }, clock(at))));
    const seen = ({ start_us: start, end_us: stop }) => start < end && (stop ?? start) >= this.#start;
    replace(
      this.#svg,
      svg("rect", { class: "track", x: 0, y: BAR.y, width: WIDTH, height: BAR.height }),
      this.#future(),
      this.#clips.filter(seen).map((clip) => this.#bar(clip)),
      times.map((at) => svg("line", { class: "hour", x1: this.#x(at), x2: this.#x(at), y1: BAR.y, y2: HEIGHT })),
      this.#events.map((event, at) => (seen(event) ? this.#mark(event, at) : null)),
    );
  }

  #future() {
    const x = Math.max(0, this.#x(nowUs()));
    return x < WIDTH && svg("rect", { class: "future", x, y: BAR.y, width: WIDTH - x, height: BAR.height });
  }

  #bar({ start_us: start, end_us: stop }) {
    const x = this.#x(start);
    return svg("rect", { class: "bar-clip", x, y: BAR.y, width: Math.max(2, this.#x(stop) - x), height: BAR.height });
  }

  #mark(event, at) {
    const x = this.#x(event.start_us);
    const ring = event.kind === "ring";
    const chosen = at === this.#chosen;
    return svg(
      "g",
      { class: ["event-mark", event.kind, chosen && "chosen"] },
      chosen && svg("line", { class: "halo", x1: x, x2: x, y1: 12, y2: BAR.y + BAR.height - 6 }),
      svg("line", { x1: x, x2: x, y1: ring ? 12 : 22, y2: BAR.y + BAR.height }),
      svg("line", { class: "head", x1: x, x2: x, y1: ring ? 12 : 22, y2: ring ? 12 : 22 }),
    );
  }

  /** The times that are written below, a round step apart. */
  #times() {
    const step = STEPS_H[this.#zoom] * HOUR_US;
    const first = this.#from + Math.ceil((this.#start - this.#from) / step) * step;
    return Array.from({ length: Math.floor((this.#start + this.#span - first) / step) + 1 }, (_, at) => first + at * step);
  }

  #legend() {
    return h("span", { class: "legend quiet", "aria-hidden": "true" }, ["ring", "motion", "clip"].map((kind) => h("span", {}, h("span", { class: ["dot", kind] }), t.legend[kind])));
  }

  #button(drawing, label, run) {
    return h("button", { type: "button", class: "icon-only small", "aria-label": label, onclick: run }, icon(drawing));
  }

  #key(event) {
    const keys = {
      ArrowLeft: () => this.#choose(-1), ArrowRight: () => this.#choose(1), Home: () => this.#choose(-Infinity), End: () => this.#choose(Infinity),
      Enter: () => this.#playChosen(), " ": () => this.#playChosen(), "+": () => this.#zoomBy(1), "=": () => this.#zoomBy(1), "-": () => this.#zoomBy(-1),
    };
    if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      keys[event.key]();
    }
  }

  #choose(by) {
    if (this.#events.length > 0) {
      const from = this.#chosen < 0 ? (by > 0 ? -1 : this.#events.length) : this.#chosen;
      this.#chosen = Math.max(0, Math.min(this.#events.length - 1, from + by));
      const { start_us: at } = this.#events[this.#chosen];
      if (at < this.#start || at >= this.#start + this.#span) {
        this.#startAt(at - this.#span / 2);
      }
      this.#draw();
      this.#say();
    }
  }

  #say({ quietly = false } = {}) {
    const event = this.#events[this.#chosen];
    if (!event) {
      this.#says.textContent = this.#events.length > 0 ? t.keys : "";
      return;
    }
    const length = event.end_us ? duration(event.end_us - event.start_us) : "";
    const gone = clipOf(event, this.#clips) ? "" : `, ${t.noClip}`;
    this.#says.textContent = t.eventWhen(eventWords(event), clockSeconds(event.start_us), length) + gone;
    if (!quietly) {
      announce(this.#says.textContent);
    }
  }

  #playChosen() {
    const event = this.#events[this.#chosen];
    const clip = event && clipOf(event, this.#clips);
    if (clip) {
      this.#onplay(clip.clip, event.start_us);
    }
  }

  #click(event) {
    const box = this.#svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const reach = (REACH * WIDTH) / Math.max(1, box.width);
    const near = this.#events.map((one, at) => [Math.abs(this.#x(one.start_us) - x), at]).sort(([one], [other]) => one - other)[0];
    const clip = this.#clips.find((one) => this.#x(one.start_us) - reach / 4 <= x && x <= this.#x(one.end_us) + reach / 4);
    if (near && near[0] <= reach && !(clip && this.#zoom > 3)) {
      [, this.#chosen] = near;
      this.#draw();
      this.#say();
      this.#playChosen();
    } else if (clip) {
      this.#onplay(clip.clip, this.#start + (x / WIDTH) * this.#span);
    }
  }

  #zoomBy(steps) {
    const middle = this.#events[this.#chosen]?.start_us ?? this.#start + this.#span / 2;
    const focus = this.#zoom === 0 && this.#chosen < 0 ? (this.#events.at(-1)?.start_us ?? middle) : middle;
    this.#zoom = Math.max(0, Math.min(SPANS_H.length - 1, this.#zoom + steps));
    this.#startAt(focus - this.#span / 2);
    this.#draw();
    announce(this.#range.textContent);
  }

  #move(spans) {
    this.#startAt(this.#start + spans * this.#span);
    this.#draw();
    announce(this.#range.textContent);
  }

  #startAt(us) {
    const whole = STEPS_H[this.#zoom] * HOUR_US;
    const rounded = this.#from + Math.round((us - this.#from) / whole) * whole;
    this.#start = Math.max(this.#from, Math.min(this.#until - this.#span, rounded));
  }
}
