// The boxes over a picture that is being trimmed: drawn with the pointer on the bare picture, moved and resized by the
// pointer or the keys. Their layer has the picture's own coordinates, so that it lies right however the picture is fitted.

import { announce, h, svg } from "./dom.js";
import { between, boxAt, moved, resized } from "./boxmodel.js";
import { texts } from "./texts.js";

const STEP = 0.01;
const LEAST_DRAWN = 0.02;
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

export class BoxLayer {
  #size;
  #hears;
  #shown = [];
  #drawn;
  #hint = h("span", { class: "unseen", id: "box-keys" }, texts.review.boxKeys);

  /**
   * @param {{width: number, height: number}} size of the picture
   * @param {{begin: () => void, draw: (box) => void, put: (n: number, box) => void, pick: (n: number) => void, remove: (n: number) => void}} hears
   */
  constructor(size, hears) {
    this.#size = size;
    this.#hears = hears;
    this.#drawn = svg("rect", { class: "box-drawn", hidden: true });
    this.layer = svg("svg", { class: "box-layer", viewBox: `0 0 ${size.width} ${size.height}` }, this.#drawn);
    this.layer.addEventListener("pointerdown", (event) => this.#draw(event));
    this.element = h("div", { class: "box-place" }, this.layer, this.#hint);
  }

  /** Show the boxes as they stand at an instant; those that are not there then are not shown. */
  show(regions, atUs, picked) {
    while (this.#shown.length > regions.length) {
      this.#shown.pop().group.remove();
    }
    while (this.#shown.length < regions.length) {
      this.#shown.push(this.#make(this.#shown.length));
    }
    this.#shown.forEach((shown, n) => {
      const box = boxAt(regions[n], atUs);
      shown.box = box;
      shown.group.toggleAttribute("hidden", box === null);
      shown.group.classList.toggle("picked", n === picked);
      if (box !== null) {
        this.#place(shown, n, box);
      }
    });
  }

  /** Have the keys move a box, with all of the picture in view. */
  reveal(n) {
    this.#focus(n);
    this.layer.scrollIntoView({ block: "nearest" });
  }

  #focus(n) {
    this.#shown[n].group.focus({ preventScroll: true });
  }

  #place({ group, rect, corner, name }, n, box) {
    const { width, height } = this.#size;
    const [x, y, wide, high] = [box.x * width, box.y * height, box.width * width, box.height * height];
    setAll(rect, { x, y, width: wide, height: high });
    const grip = width / 32;
    setAll(corner, { x: x + wide - grip / 2, y: y + high - grip / 2, width: grip, height: grip });
    setAll(name, { x: x + grip / 3, y: y + grip, "font-size": grip });
    group.setAttribute("aria-label", texts.review.boxIs(n + 1, box));
  }

  #make(n) {
    const rect = svg("rect", { class: "box-area" });
    const corner = svg("rect", { class: "box-corner" });
    const name = svg("text", { class: "box-name", "aria-hidden": "true" }, n + 1);
    const group = svg("g", { class: "box", role: "group", tabindex: 0, "aria-describedby": "box-keys" }, rect, name, corner);
    group.addEventListener("focus", () => this.#hears.pick(n));
    group.addEventListener("keydown", (event) => this.#key(event, n));
    group.addEventListener("pointerdown", (event) => this.#drag(event, n, event.target === corner ? resized : moved));
    this.layer.append(group);
    return { group, rect, corner, name, box: null };
  }

  #key(event, n) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      event.preventDefault();
      this.#hears.put(n, (event.shiftKey ? resized : moved)(this.#shown[n].box, ...arrow));
      announce(this.#shown[n].group.getAttribute("aria-label"));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.#hears.remove(n);
    }
  }

  /** Where on the picture a pointer is, in fractions; the layer knows how the picture is fitted. */
  #at(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.layer.getScreenCTM().inverse());
    return { x: x / this.#size.width, y: y / this.#size.height };
  }

  #drag(event, n, change) {
    if (event.button !== 0) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.#hears.begin();
    this.#focus(n);
    const [start, box] = [this.#at(event), this.#shown[n].box];
    this.#follow(event, (now) => this.#hears.put(n, change(box, now.x - start.x, now.y - start.y)), () => {});
  }

  #draw(event) {
    if (event.button !== 0 || event.pointerType === "touch") {
      return; // a finger scrolls; its boxes come from the button
    }
    event.preventDefault();
    this.#hears.begin();
    const start = this.#at(event);
    const { width, height } = this.#size;
    let box = null;
    this.#follow(
      event,
      (now) => {
        const isSmall = Math.abs(now.x - start.x) < LEAST_DRAWN || Math.abs(now.y - start.y) < LEAST_DRAWN;
        box = isSmall ? null : between(start, now);
        this.#drawn.toggleAttribute("hidden", box === null);
        setAll(this.#drawn, box ? { x: box.x * width, y: box.y * height, width: box.width * width, height: box.height * height } : {});
      },
      () => {
        this.#drawn.toggleAttribute("hidden", true);
        if (box) {
          this.#hears.draw(box);
        }
      },
    );
  }

  #follow(event, move, end) {
    const stop = new AbortController();
    const { signal } = stop;
    this.layer.setPointerCapture(event.pointerId);
    this.layer.addEventListener("pointermove", (now) => move(this.#at(now)), { signal });
    for (const kind of ["pointerup", "pointercancel"]) {
      this.layer.addEventListener(kind, () => { stop.abort(); end(); }, { signal });
    }
  }
}

function setAll(element, values) {
  Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value));
}
