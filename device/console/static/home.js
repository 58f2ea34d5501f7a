// Home: how each device is, and a day of what one of them saw.

import { api } from "./api.js";
import { Card } from "./devicecard.js";
import { Day } from "./day.js";
import { h, replace } from "./dom.js";
import { dayOf, nowUs } from "./format.js";
import { icon } from "./icons.js";
import { showError } from "./overlays.js";
import { go, hrefs } from "./router.js";
import { texts } from "./texts.js";

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/**
 * @param {HTMLElement} root
 * @param {{device?: string, day?: string}} parameters
 * @param {{state: Object, on: Function}} context
 */
export async function view(root, parameters, context) {
  const home = new Home(root, parameters);
  const stop = context.on("devices", () => home.refresh());
  await home.begin();
  return () => {
    stop();
    home.close();
  };
}

class Home {
  #root;
  #cards = new Map();
  #tiles = h("div", { class: "tiles" });
  #below = h("section", { class: "panel", "aria-labelledby": "day-title" });
  #day = null;
  #shown;
  #wanted;

  constructor(root, parameters) {
    this.#root = root;
    this.#shown = parameters.device ?? null;
    this.#wanted = DAY.test(parameters.day ?? "") ? parameters.day : dayOf(nowUs());
  }

  async begin() {
    const waiting = h("div", { class: "tiles" }, h("div", { class: "skeleton skeleton-card" }), h("div", { class: "skeleton skeleton-card" }));
    replace(this.#root, h("h1", {}, texts.home.title), waiting, h("div", { class: "skeleton skeleton-day" }));
    const devices = await this.#devices();
    if (devices && this.#root.isConnected) { // one may have gone elsewhere meanwhile
      this.#draw(devices);
    }
  }

  async #devices() {
    try {
      return (await api("/api/home", undefined, { unattended: true })).devices;
    } catch (error) {
      if (error.status === undefined) {
        throw error;
      }
      replace(this.#root, h("h1", {}, texts.home.title), showError(h("div"), error, () => this.begin()));
      return null;
    }
  }

  #draw(devices) {
    if (devices.length === 0) {
      replace(this.#root, h("h1", {}, texts.home.title), nothing());
      return;
    }
    if (!devices.some(({ device }) => device === this.#shown)) {
      this.#shown = (devices.find(({ away }) => !away) ?? devices[0]).device;
    }
    for (const device of devices) {
      const card = new Card(device, { shown: device.device === this.#shown, show: () => this.#show(device.device) });
      this.#cards.set(device.device, card);
    }
    replace(this.#tiles, [...this.#cards.values()].map(({ element }) => element));
    const list = h("section", { "aria-labelledby": "devices-title" }, h("h2", { id: "devices-title", class: "unseen" }, texts.home.devices), this.#tiles);
    replace(this.#root, h("h1", {}, texts.home.title), list, this.#below);
    this.#openDay(devices);
  }

  #openDay(devices) {
    this.#day = new Day(this.#below, { devices: devices.map(({ device }) => device), onmove: (device, day) => this.#moved(device, day) });
    this.#day.show(this.#shown, this.#wanted);
  }

  #show(device) {
    this.#day.show(device, this.#day.day);
    this.#below.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  #moved(device, day) {
    this.#shown = device;
    this.#cards.forEach((card, name) => card.mark(name === device));
    if (this.#root.isConnected) { // the address is that of the view that one sees
      go(hrefs.home(device, day), { quietly: true });
    }
  }

  /** Something changed at a device: the same cards, told anew. */
  async refresh() {
    const answer = await api("/api/home", undefined, { unattended: true }).catch((error) => {
      if (error.status === undefined) { throw error; }
      return null; // the next line of the stream asks again
    });
    answer?.devices.forEach((device) => this.#cards.get(device.device)?.update(device));
    this.#day?.refresh();
  }

  close() {
    this.#day?.close();
  }
}

function nothing() {
  return h("div", { class: "empty" }, icon("camera", { size: 32 }), h("h2", {}, texts.home.none), h("p", {}, texts.home.noneWhy));
}
