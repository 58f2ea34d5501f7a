// One device on the home page: how it is in words, its storage, its privacy switch, and test events where it is simulated.

import { api } from "./api.js";
import { busy, h, replace } from "./dom.js";
import { capital, date, moment } from "./format.js";
import { icon } from "./icons.js";
import { confirmed, toast } from "./overlays.js";
import { hrefs } from "./router.js";
import { texts } from "./texts.js";

const FULL = 0.97;
const t = texts.home;

export class Card {
  #device;
  #show;
  #shown;
  #state = h("div", { class: "device-state" });
  #storage = h("div", { class: "storage" });
  #last = h("p", { class: "quiet device-last" });
  #foot = h("div", { class: "device-foot" });
  #switch;
  #title;

  /** @param {{shown: boolean, show: () => void}} how `show` puts this device's day below */
  constructor(device, { shown, show }) {
    this.#show = show;
    this.#switch = h("button", { type: "button", class: "switch", role: "switch", onclick: () => this.#askPrivacy() });
    this.#title = h("button", { type: "button", class: "device-name", onclick: () => this.#show() }, device.device);
    this.element = h(
      "article",
      { class: "card device", "aria-label": device.device },
      h("div", { class: "row between top" }, h("h3", {}, icon(device.kind === "doorbell" ? "bell" : "camera"), this.#title), h("span", { class: "quiet" }, t.kinds[device.kind] ?? "")),
      this.#state,
      this.#storage,
      this.#last,
      this.#switch,
      this.#foot,
    );
    this.update(device);
    this.mark(shown);
  }

  /** Whether this device's day is what is shown below. */
  mark(shown) {
    this.#shown = shown;
    this.element.classList.toggle("shown", shown);
    this.#title.setAttribute("aria-pressed", String(shown));
    this.#title.setAttribute("aria-label", shown ? `${this.#device.device}, ${t.shown}` : t.showDay(this.#device.device));
  }

  /** Tell anew how it is; what did not change stays as it is, so that nothing that has the focus goes away. */
  update(device) {
    const same = JSON.stringify(device) === JSON.stringify(this.#device);
    this.#device = device;
    if (same) {
      return;
    }
    replace(this.#state, this.#states());
    replace(this.#storage, device.away ? null : this.#used());
    this.#last.textContent = device.away ? "" : device.last_event_us ? t.lastEvent(moment(device.last_event_us)) : t.noEvent;
    this.#switch.hidden = Boolean(device.away);
    this.#switch.setAttribute("aria-checked", String(Boolean(device.privacy)));
    replace(
      this.#switch,
      h("span", {}, h("b", {}, t.privacy), h("span", { class: "quiet" }, device.privacy ? t.privacyOn : t.privacyOff)),
      h("span", { class: "knob", "aria-hidden": "true" }),
    );
    const isPrivate = String(Boolean(device.privacy));
    if (device.simulated && this.#foot.dataset.private !== isPrivate) { // else a button that has the focus would go
      this.#foot.dataset.private = isPrivate;
      replace(this.#foot, device.privacy ? h("span", { class: "quiet" }, t.test, ". ", t.testPrivate) : this.#tests());
    }
    this.#foot.hidden = Boolean(device.away) || !device.simulated;
  }

  #states() {
    const { away, privacy, problem, filming, waiting } = this.#device;
    if (away) {
      return [h("p", {}, chip("bad", "away", t.states.away)), h("p", {}, capital(away)), h("p", { class: "quiet" }, t.awayWhat)];
    }
    const films = !privacy && filming.fps > 0;
    const state = privacy ? chip("tint", "eye-off", t.states.private) : chip(films ? "good" : "warn", "record", films ? t.states.filming : t.states.notFilming);
    const asked = waiting > 0 && h("a", { class: "chip warn", href: hrefs.requests() }, icon("bell"), t.deviceWaiting(waiting));
    return [
      h("p", { class: "row" }, state, asked, films && h("span", { class: "quiet" }, t.filmingAt(filming.fps))),
      problem && h("p", { class: "notice bad" }, capital(problem)),
    ];
  }

  #used() {
    const { bytes, max_bytes: most, clips, oldest_us: oldest } = this.#device.storage;
    const part = most > 0 ? Math.min(1, bytes / most) : 0;
    return [
      h("p", { class: "row between" }, h("span", {}, t.storage), h("span", { class: "quiet numbers" }, t.storageUsed(bytes, most))),
      h("span", { class: "meter", role: "img", "aria-label": `${t.storage}: ${t.storageUsed(bytes, most)}` }, h("i", { style: { "--part": part } })),
      h("p", { class: "quiet" }, `${t.storageClips(clips, oldest ? date(oldest) : "")}${part >= FULL ? `. ${t.storageRing}` : ""}`),
    ];
  }

  #tests() {
    const button = (kind, label, drawing) => {
      const element = h("button", { type: "button", class: "small", onclick: () => busy(element, () => this.#test(kind)) }, icon(drawing, { size: 16 }), label);
      return element;
    };
    return [
      h("span", { class: "quiet" }, t.test),
      h("div", { class: "row" }, button("motion", t.testMotion, "motion"), this.#device.kind === "doorbell" && button("ring", t.testRing, "bell")),
    ];
  }

  async #test(kind) {
    await told(async () => {
      await api("/api/test", { device: this.#device.device, kind });
      return t.tested[kind];
    });
  }

  async #askPrivacy() {
    const { device, privacy } = this.#device;
    const [title, means, yes, no] = privacy
      ? [t.privacyEnd(device), t.privacyEndMeans, t.privacyEndYes, t.privacyEndNo]
      : [t.privacyAsk(device), t.privacyMeans, t.privacyYes, t.privacyNo];
    if (await confirmed({ title, body: h("ul", {}, means.map((line) => h("li", {}, line))), yes, no })) {
      await busy(this.#switch, () => told(async () => {
        await api("/api/privacy", { device, on: !privacy });
        this.update({ ...this.#device, privacy: !privacy });
        return privacy ? t.privacyIsOff(device) : t.privacyIsOn(device);
      }));
    }
  }
}

/** Do something and say in a line how it went. */
async function told(work) {
  try {
    toast(await work(), { kind: "good" });
  } catch (error) {
    if (error.status === undefined) {
      throw error;
    }
    toast(error.message, { kind: "bad" });
  }
}

function chip(kind, drawing, words) {
  return h("span", { class: ["chip", kind] }, icon(drawing, { size: 16 }), words);
}
