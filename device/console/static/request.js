// One request: what is asked and by whom, on what terms, how one knows that it was asked in public, and what of one's own
// matches. The answer is made on the review page; here one can decline, leave it, or mute.

import { api } from "./api.js";
import { about, proofPanel, termsPanel, updatesPanel } from "./askedpanels.js";
import { focusOn, h, replace } from "./dom.js";
import { capital } from "./format.js";
import { icon } from "./icons.js";
import { showError } from "./overlays.js";
import { placePanel } from "./placepanel.js";
import { recordPanel } from "./recordpanel.js";
import { stateChip } from "./requestcard.js";
import { hrefs } from "./router.js";
import { texts } from "./texts.js";

const t = texts.request;
const GONE = new Set(["approved", "released", "received", "undelivered"]); // something was, or may have been, given

/** See `home.js` for the shape of a view. */
export async function view(root, { leaf }, context) {
  const shown = new Shown(root, leaf);
  const stops = [context.on("requests", () => shown.refresh()), context.on("sending", (line) => shown.sending(line))];
  await shown.refresh();
  return () => stops.forEach((stop) => stop());
}

class Shown {
  #root;
  #leaf;
  #told = "";
  #places = new Map();

  constructor(root, leaf) {
    this.#root = root;
    this.#leaf = leaf;
    replace(root, back(), h("div", { class: "skeleton skeleton-title" }), h("div", { class: "columns" }, h("div", { class: "skeleton skeleton-day" }), h("div", { class: "skeleton skeleton-day" })));
  }

  async refresh() {
    try {
      const one = await api(`/api/request?${new URLSearchParams({ leaf: this.#leaf })}`, undefined, { unattended: true });
      const told = JSON.stringify(one, (key, value) => (key === "thumbnails" ? value.length : value));
      if (told !== this.#told) { // the addresses of pictures are new each time, and those in the page still hold
        this.#told = told;
        this.#draw(one);
      }
    } catch (error) {
      if (error.status === undefined) {
        throw error;
      }
      replace(this.#root, back(), h("h1", {}, texts.common.places.request), showError(h("div"), error, () => this.refresh()));
    }
  }

  sending(line) {
    if (line.leaf === this.#leaf) {
      this.#places.get(line.device)?.sending(line);
    }
  }

  #draw(one) {
    const inside = this.#root.contains(document.activeElement);
    const had = inside ? document.activeElement.dataset.keep : null;
    if (one.request === null) {
      const isAway = one.places.every(({ state }) => state === "away");
      replace(this.#root, back(), h("h1", {}, isAway ? t.away : texts.requests.unreadable), one.places.map((place) => h("p", {}, stateChip(place), ` ${place.message}`)));
      return;
    }
    const changed = () => this.refresh();
    this.#places = new Map(one.places.map((place) => [place.device, placePanel(one, place, changed)]));
    replace(
      this.#root,
      back(),
      h("h1", {}, `${capital(texts.requests.incident(one.request.incident))}, ${texts.requests.case(one.request.case)}`),
      h("p", { class: "lead" }, texts.requests.by(one.agency.name)),
      h(
        "div",
        { class: "columns" },
        h("div", { class: "main" }, about(one)),
        h("div", { class: "aside" }, this.#yours(one)),
        h("div", { class: "main" }, recordPanel(one), termsPanel(one), updatesPanel(one), proofPanel(one)),
      ),
    );
    if (inside) { // what had the focus has it again, or what came of it
      const again = had && this.#root.querySelector(`[data-keep="${CSS.escape(had)}"]`);
      focusOn(again || this.#root.querySelector("#yours-title"));
    }
  }

  #yours(one) {
    const gone = one.places.some(({ state }) => GONE.has(state));
    const matches = one.places.some(({ clips }) => clips.length > 0);
    const isAway = one.places.some(({ state }) => state === "away"); // what matches there nobody can tell now
    return h(
      "section",
      { class: "panel yours", "aria-labelledby": "yours-title" },
      h("h2", { id: "yours-title" }, t.yours),
      h("p", { class: "quiet" }, gone ? t.goneNote : matches ? t.yoursNote : isAway ? t.awayNote : t.noClips),
      [...this.#places.values()].map(({ element }) => element),
      one.places.some(({ state }) => state === "offered") && h("p", { class: "hint last" }, t.leaveWhat),
    );
  }
}

function back() {
  return h("p", { class: "crumb" }, h("a", { href: hrefs.requests() }, icon("left", { size: 16 }), t.back));
}
