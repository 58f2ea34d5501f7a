// Trimming one clip and hiding in it: the player with its boxes, the filmstrip, and what follows from where its ends lie.

import { api } from "./api.js";
import { BoxLayer } from "./boxes.js";
import { showBoxes } from "./boxlist.js";
import { boxAt, newRegion, withKey } from "./boxmodel.js";
import { ClipPlayer } from "./clipplayer.js";
import { announce, focusOn, h, replace } from "./dom.js";
import { clockTenths, list, moment } from "./format.js";
import { keepFresh } from "./freshvideo.js";
import { icon } from "./icons.js";
import { showError } from "./overlays.js";
import { askedRange, coversAsked, derivedBy, resealed } from "./reviewmodel.js";
import { Strip } from "./strip.js";
import { setSwitch, switchRow } from "./switches.js";
import { texts } from "./texts.js";

const NEW_BOX = { x: 0.4, y: 0.35, width: 0.2, height: 0.3 };

/** Open the editor of a clip in a node; `missed` is a time at which a box is to be added. Returns what closes it. */
export function openEditor(node, clip, answer, choice, missed) {
  const editor = new Editor(clip, answer, choice);
  replace(node, editor.element);
  editor.begin(node, missed);
  return editor;
}

class Editor {
  #clip;
  #limits;
  #device;
  #choice;
  #player = null;
  #picked = null;
  #closed = false;
  #strip;
  #boxes;
  #list = h("ul", { class: "plain box-list" });
  #play = h("button", { type: "button", class: "primary icon-only", onclick: () => this.#player?.toggle() });
  #time = h("span", { class: "numbers editor-time" });
  #seal = h("p", { class: "seal-line", role: "status" });
  #ways = h("div", { class: "row seal-ways" });
  #exact;
  #video;

  constructor(clip, answer, choice) {
    const t = texts.review;
    this.#clip = clip;
    this.#limits = answer.draft.limits;
    this.#device = answer.device;
    this.#choice = choice;
    this.#strip = new Strip(clip, this.#limits, (part, end) => this.#trimmed(part, end), (at) => this.#seek(at));
    this.#boxes = new BoxLayer(clip, {
      begin: () => this.#player?.pause(),
      draw: (box) => this.#add(box),
      put: (n, box) => this.#put(n, box),
      pick: (n) => this.#pick(n),
      remove: (n) => this.#remove(n),
    });
    this.#video = h("video", { muted: true, playsinline: true, preload: "auto", disablepictureinpicture: true, tabindex: -1, "aria-label": t.video(moment(clip.start_us)) });
    this.#exact = switchRow(t.exact, t.exactWhat, this.#part.exact, (on) => this.#change(on ? { ...this.#part, exact: true } : resealed(this.#part, clip, this.#limits)));
    this.element = h("div", { class: "editor" }, this.#film(), this.#hiding());
  }

  get #part() {
    return this.#choice.part(this.#clip.clip);
  }

  async begin(node, missed) {
    this.#show();
    try {
      const ask = (how) => api("/api/play", { device: this.#device, clip: this.#clip.clip }, how);
      const film = await ask();
      if (this.#closed) {
        return;
      }
      this.#player = new ClipPlayer(this.#video, film, () => this.#part, () => this.#moved());
      keepFresh(this.#video, async () => (await ask({ unattended: true })).url);
      this.#seek(missed?.at_us ?? this.#part.from_us);
      if (missed) {
        this.#add(missed.box ?? NEW_BOX);
        node.scrollIntoView({ block: "start" });
      }
    } catch (error) {
      showError(node, error, () => this.#choice.close());
    }
  }

  close() {
    this.#closed = true;
    this.#player?.close();
    this.#strip.close();
  }

  #film() {
    const t = texts.review.player;
    const stage = h("div", { class: "stage", style: { "aspect-ratio": `${this.#clip.width} / ${this.#clip.height}` } }, this.#video, this.#boxes.element);
    const step = (label, drawing, by) => h("button", { type: "button", class: "icon-only ghost", "aria-label": label, onclick: () => this.#seek(this.#at + by * this.#clip.frame_us) }, icon(drawing));
    return h(
      "div",
      { class: "editor-film" },
      stage,
      h("div", { class: "row editor-controls" }, this.#play, step(t.back, "left", -1), step(t.on, "right", 1), this.#time),
      this.#strip.element,
      this.#seal,
      this.#ways,
      h("p", { class: "hint" }, texts.review.keys),
      this.#exact,
    );
  }

  #hiding() {
    const t = texts.review;
    const add = h("button", { type: "button", onclick: () => this.#add(NEW_BOX) }, t.addBox);
    return h(
      "div",
      { class: "editor-hiding" },
      switchRow(t.faces, `${t.facesWhat} ${t.facesLook}`, this.#part.hide_faces, (on) => this.#change({ ...this.#part, hide_faces: on })),
      h("h3", {}, t.boxes),
      h("p", { class: "hint" }, t.boxesWhat),
      add,
      this.#list,
    );
  }

  get #at() {
    return this.#player?.at_us ?? this.#part.from_us;
  }

  #seek(atUs) {
    this.#player?.pause();
    this.#player?.seek(atUs);
  }

  #trimmed(part, end) {
    this.#change(part);
    this.#seek(end === "from_us" ? part.from_us : part.until_us - this.#clip.frame_us);
  }

  #change(part) {
    this.#choice.change(part);
    this.#show();
  }

  #add(box) {
    this.#player?.pause();
    this.#picked = this.#part.regions.length;
    this.#change({ ...this.#part, regions: [...this.#part.regions, newRegion(this.#at, box)] });
    this.#boxes.reveal(this.#picked);
    announce(texts.review.boxIs(this.#picked + 1, box));
  }

  #put(n, box) {
    this.#player?.pause();
    this.#region(n, withKey(this.#part.regions[n], this.#at, box, this.#clip.frame_us));
  }

  #region(n, region) {
    this.#change({ ...this.#part, regions: this.#part.regions.map((one, at) => (at === n ? region : one)) });
  }

  #remove(n) {
    this.#picked = null;
    this.#change({ ...this.#part, regions: this.#part.regions.filter((_, at) => at !== n) });
    announce(texts.review.boxRemoved(n + 1));
    focusOn(this.element.querySelector(".editor-hiding > button"));
  }

  /** Pick a box; where it is not there at this time, go to where it is. */
  #pick(n) {
    const region = this.#part.regions[n];
    if (boxAt(region, this.#at) === null) {
      this.#seek(region.from_us ?? region.keys[0].at_us);
    }
    if (this.#picked !== n) {
      this.#picked = n;
      this.#show();
    }
  }

  #show() {
    const part = this.#part;
    const t = texts.review;
    const why = derivedBy(part, this.#clip);
    const words = why.length === 0 ? t.sealed : t.derived(list(why.map((one) => t.why[one])));
    if (this.#seal.textContent !== words) {
      replace(this.#seal, icon(why.length === 0 ? "shield" : "scissors"), h("span", {}, words));
      this.#seal.classList.toggle("derived", why.length > 0);
    }
    setSwitch(this.#exact, part.exact);
    this.#showWays(part, why);
    showBoxes(this.#list, part, this.#picked, { change: (n, region) => this.#region(n, region), remove: (n) => this.#remove(n), pick: (n) => this.#pick(n), seek: (at) => this.#seek(at) }, () => this.#at);
    this.#moved();
  }

  #showWays(part, why) {
    const t = texts.review;
    const asked = askedRange(this.#clip, this.#limits);
    const isAsked = part.from_us === asked.from_us && part.until_us === asked.until_us;
    const way = (label, changed) => h("button", { type: "button", class: "small", onclick: () => this.#change(changed) }, label);
    replace(
      this.#ways,
      why.includes("cut") && way(t.reseal, resealed(part, this.#clip, this.#limits)),
      !isAsked && way(t.toAsked, { ...part, exact: false, ...asked }),
      isAsked && !coversAsked(part, this.#clip) && h("span", { class: "quiet" }, t.longest(this.#limits.clip_us)),
    );
  }

  /** The player stands somewhere else, or began or stopped to play. */
  #moved() {
    const t = texts.review.player;
    const isPlaying = this.#player?.playing ?? false;
    if (this.#play.getAttribute("aria-label") !== (isPlaying ? t.pause : t.play)) {
      this.#play.setAttribute("aria-label", isPlaying ? t.pause : t.play);
      replace(this.#play, icon(isPlaying ? "pause" : "play"));
    }
    this.#time.textContent = clockTenths(this.#at);
    this.#strip.show(this.#part, this.#at);
    this.#boxes.show(this.#part.regions, this.#at, this.#picked);
  }
}

