// A clip plays in a dialog, at once. The browser's own controls, keys to seek, and the clips before and after.

import { api } from "./api.js";
import { h, replace } from "./dom.js";
import { clock, duration, moment } from "./format.js";
import { icon } from "./icons.js";
import { dialog, showError } from "./overlays.js";
import { texts } from "./texts.js";

const t = texts.player;
const LEAD_US = 1_000_000; // an event is played from a moment before it

/**
 * Open the player.
 * @param {{device: string, clips: {clip: string, start_us: number, end_us: number, open?: boolean}[], clip: string, at?: number}} what
 *   `clips` in order of time; `at` is where to begin, in µs
 */
export function play({ device, clips, clip, at = 0 }) {
  new Player(device, clips).open(Math.max(0, clips.findIndex((one) => one.clip === clip)), at);
}

class Player {
  #device;
  #clips;
  #at = 0;
  #turn = 0;
  #dialog;
  #video;
  #stage;
  #facts = h("p", { class: "quiet numbers player-facts" });
  #place = h("span", { class: "quiet numbers" });
  #back;
  #on;

  constructor(device, clips) {
    this.#device = device;
    this.#clips = clips;
    this.#video = h("video", { controls: true, autoplay: true, playsinline: true, controlslist: "nodownload noremoteplayback", disablepictureinpicture: true, disableremoteplayback: true, muted: true });
    this.#video.addEventListener("error", () => this.#failed(new Error(t.failed)));
    this.#stage = h("div", { class: "stage" }, this.#video);
    this.#back = this.#button("left", t.previous, t.previousClip, -1);
    this.#on = this.#button("right", t.next, t.nextClip, 1);
  }

  #button(drawing, label, whole, by) {
    return h("button", { type: "button", "aria-label": whole, onclick: () => this.#go(by) }, by < 0 && icon(drawing), label, by > 0 && icon(drawing));
  }

  open(at, beginUs) {
    this.#dialog = dialog({
      title: "",
      wide: true,
      className: "player",
      body: [this.#stage, this.#facts, h("div", { class: "row between" }, this.#back, this.#place, this.#on), h("p", { class: "hint keys" }, t.keys)],
      onclose: () => this.#end(),
    });
    this.#dialog.element.addEventListener("keydown", (event) => this.#key(event));
    this.#show(at, beginUs);
  }

  async #show(at, beginUs = 0) {
    this.#at = at;
    this.#turn += 1;
    const turn = this.#turn;
    const one = this.#clips[at];
    const when = `${moment(one.start_us)}`;
    this.#dialog.element.querySelector("h2").textContent = t.title(this.#device, when);
    this.#video.setAttribute("aria-label", t.video(this.#device, when));
    this.#facts.textContent = t.opening;
    this.#place.textContent = t.position(at + 1, this.#clips.length);
    this.#back.setAttribute("aria-disabled", String(at === 0));
    this.#on.setAttribute("aria-disabled", String(at === this.#clips.length - 1));
    this.#video.poster = one.thumbnails?.[0] ?? "";
    try {
      const film = await api("/api/play", { device: this.#device, clip: one.clip });
      if (turn === this.#turn) {
        this.#start(film, one, beginUs);
      }
    } catch (error) {
      if (error.status === undefined) {
        throw error;
      }
      this.#failed(error);
    }
  }

  #start(film, one, beginUs) {
    if (!this.#video.isConnected) {
      replace(this.#stage, this.#video);
    }
    this.#stage.style.setProperty("aspect-ratio", `${film.width} / ${film.height}`);
    this.#video.src = film.url;
    const lead = beginUs - LEAD_US - film.start_us;
    this.#video.currentTime = lead > 0 && beginUs < film.end_us ? lead / 1e6 : 0;
    const length = duration(film.end_us - film.start_us);
    this.#facts.textContent = `${clock(film.start_us)}, ${t.facts(length, film.width, film.height, film.bytes)}${one.open ? `. ${t.still}` : ""}`;
    this.#video.focus({ preventScroll: true });
  }

  #failed(error) {
    if (this.#dialog.element.open) {
      this.#facts.textContent = "";
      showError(this.#stage, error, () => this.#show(this.#at));
    }
  }

  #go(by) {
    if (this.#clips[this.#at + by]) {
      this.#show(this.#at + by);
    }
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const acts = event.target.matches("button, video"); // they know the space bar by themselves
    const seek = (by) => { this.#video.currentTime = Math.max(0, this.#video.currentTime + by * (event.shiftKey ? 5 : 1)); };
    const keys = {
      ArrowLeft: () => seek(-1), ArrowRight: () => seek(1), n: () => this.#go(1), N: () => this.#go(1), p: () => this.#go(-1), P: () => this.#go(-1),
      " ": acts ? null : () => (this.#video.paused ? this.#video.play() : this.#video.pause()),
    };
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  }

  #end() {
    this.#turn += 1;
    this.#video.removeAttribute("src");
    this.#video.load(); // lets go of what was loaded
  }
}
