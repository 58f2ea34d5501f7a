// The filmstrip: pictures of a clip in a row, the two ends of what is chosen, the seams, what was asked, and where the
// player stands. Ends go from seam to seam; with Shift or Alt, or with `exact` in the part, from picture to picture.

import { h, replace, svg } from "./dom.js";
import { clockTenths } from "./format.js";
import { reach, stepped, withEnd } from "./reviewmodel.js";
import { texts } from "./texts.js";

const PICTURE_PX = 72; // of width at least; what is too wide is cut at its sides
const SECOND_US = 1e6;
const ENDS = ["from_us", "until_us"];
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 };

export class Strip {
  #clip;
  #limits;
  #change;
  #seek;
  #part;
  #at;
  #pictures = h("div", { class: "strip-pictures", "aria-hidden": "true" });
  #shades = [h("div", { class: "strip-shade" }), h("div", { class: "strip-shade" })];
  #kept = h("div", { class: "strip-kept" });
  #handles = new Map();
  #head;
  #track;
  #size;

  /**
   * @param {object} clip of a draft
   * @param {object} limits of the draft
   * @param {(part: object, end: string) => void} change hears of a part with an end moved
   * @param {(atUs: number) => void} seek hears where the player shall stand
   */
  constructor(clip, limits, change, seek) {
    this.#clip = clip;
    this.#limits = limits;
    this.#change = change;
    this.#seek = seek;
    for (const end of ENDS) {
      this.#handles.set(end, this.#handle(end));
    }
    this.#head = h("div", {
      class: "strip-head", role: "slider", tabindex: 0, "aria-label": texts.review.position,
      "aria-valuemin": 0, "aria-valuemax": Math.round((clip.end_us - clip.start_us) / 1_000), onkeydown: (event) => this.#headKey(event),
    });
    this.#track = h("div", { class: "strip-track", onpointerdown: (event) => this.#scrub(event) }, this.#pictures, seams(clip), this.#shades, this.#kept, this.#head, [...this.#handles.values()]);
    this.element = h("div", { class: "strip", role: "group", "aria-label": texts.review.strip }, this.#asked(), this.#track);
    this.#size = new ResizeObserver(() => this.#fill());
    this.#size.observe(this.#track);
  }

  close() {
    this.#size.disconnect();
  }

  /** Show a part, and where the player stands. */
  show(part, atUs) {
    this.#part = part;
    this.#at = atUs;
    const [from, until] = [this.#share(part.from_us), this.#share(part.until_us)];
    this.#shades[0].style.setProperty("width", percent(from));
    this.#shades[1].style.setProperty("left", percent(until));
    this.#kept.style.setProperty("left", percent(from));
    this.#kept.style.setProperty("width", percent(until - from));
    for (const [end, handle] of this.#handles) {
      const { least, most } = reach(part, this.#clip, end, this.#limits);
      handle.style.setProperty("left", percent(this.#share(part[end])));
      this.#values(handle, part[end], least, most);
    }
    this.#head.style.setProperty("left", percent(Math.min(1, Math.max(0, this.#share(atUs)))));
    this.#values(this.#head, atUs, this.#clip.start_us, this.#clip.end_us);
  }

  #values(slider, atUs, least, most) {
    const ms = (us) => Math.round((us - this.#clip.start_us) / 1_000);
    slider.setAttribute("aria-valuemin", ms(least));
    slider.setAttribute("aria-valuemax", ms(most));
    slider.setAttribute("aria-valuenow", ms(atUs));
    slider.setAttribute("aria-valuetext", clockTenths(atUs));
  }

  #share(us) {
    return (us - this.#clip.start_us) / (this.#clip.end_us - this.#clip.start_us);
  }

  #timeAt(event) {
    const { left, width } = this.#track.getBoundingClientRect();
    return this.#clip.start_us + ((event.clientX - left) / width) * (this.#clip.end_us - this.#clip.start_us);
  }

  #handle(end) {
    const handle = h("div", { class: ["strip-handle", end === "from_us" ? "from" : "until"], role: "slider", tabindex: 0, "aria-label": texts.review[end === "from_us" ? "from" : "until"] });
    handle.addEventListener("keydown", (event) => this.#handleKey(event, end));
    handle.addEventListener("pointerdown", (event) => {
      handle.focus({ preventScroll: true });
      const held = this.#timeAt(event) - this.#part[end]; // it is held beside the time that it stands for
      dragging(event, handle, (moved) => {
        const exact = this.#part.exact || moved.altKey || moved.shiftKey;
        this.#change(withEnd(this.#part, this.#clip, end, this.#timeAt(moved) - held, { exact, limits: this.#limits }), end);
      });
    });
    return handle;
  }

  #handleKey(event, end) {
    const { least, most } = reach(this.#part, this.#clip, end, this.#limits);
    const far = { Home: least, End: most }[event.key];
    const fine = this.#part.exact || event.shiftKey || event.altKey;
    if (far !== undefined) {
      event.preventDefault();
      this.#change(withEnd(this.#part, this.#clip, end, far, { exact: fine, limits: this.#limits }), end);
    } else if (event.key in STEPS) {
      event.preventDefault();
      this.#change(stepped(this.#part, this.#clip, end, STEPS[event.key], { fine, limits: this.#limits }), end);
    }
  }

  #headKey(event) {
    const far = { Home: this.#part.from_us, End: this.#part.until_us - this.#clip.frame_us }[event.key];
    const step = event.shiftKey || event.altKey ? this.#clip.frame_us : SECOND_US;
    if (far !== undefined || event.key in STEPS) {
      event.preventDefault();
      this.#seek(far ?? this.#at + STEPS[event.key] * step);
    }
  }

  #scrub(event) {
    if (event.target.closest(".strip-handle") === null && event.button === 0) {
      this.#seek(this.#timeAt(event));
      dragging(event, this.#track, (moved) => this.#seek(this.#timeAt(moved)));
    }
  }

  #asked() {
    const { from_us: from, until_us: until } = this.#clip.overlap;
    return h(
      "div",
      { class: "strip-asked", style: { "--from": percent(this.#share(from)), "--long": percent(this.#share(until) - this.#share(from)) } },
      h("span", {}, texts.review.shadeAsked),
    );
  }

  /** As many pictures as there is room for, each as near as may be to its place. */
  #fill() {
    const { strip, start_us: start, end_us: end } = this.#clip;
    const length = Math.min(strip.length, Math.max(1, Math.floor(this.#track.clientWidth / PICTURE_PX)));
    const shown = Array.from({ length }, (_, at) => {
      const middle = start + ((at + 0.5) / length) * (end - start);
      return strip.reduce((best, one) => (Math.abs(one.at_us - middle) < Math.abs(best.at_us - middle) ? one : best));
    });
    replace(this.#pictures, shown.map(({ url }) => h("img", { src: url, alt: "", draggable: "false" })));
  }
}

const percent = (share) => `${share * 100}%`;

function seams(clip) {
  const whole = clip.end_us - clip.start_us;
  const lines = clip.cuts.map((cut) => `M${((cut - clip.start_us) / whole) * 1_000} 0v1`).join("");
  return svg("svg", { class: "strip-seams", viewBox: "0 0 1000 1", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path", { d: lines }));
}

/** Follow a pointer from its press until it is let go. */
function dragging(event, element, follow) {
  if (event.button !== 0) {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
  element.setPointerCapture(event.pointerId);
  const end = new AbortController();
  element.addEventListener("pointermove", follow, { signal: end.signal });
  for (const kind of ["pointerup", "pointercancel"]) {
    element.addEventListener(kind, () => end.abort(), { signal: end.signal });
  }
}
