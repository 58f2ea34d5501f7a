// Choosing: a card for each matching clip, one of them open to be trimmed, and what it comes to.

import { openEditor } from "./clipedit.js";
import { announce, busy, focusOn, h, replace, uniqueId } from "./dom.js";
import { clockSeconds, duration, moment } from "./format.js";
import { icon } from "./icons.js";
import { decideRow } from "./decide.js";
import { toast } from "./overlays.js";
import { derivedBy, problem, ringsWithin, totals } from "./reviewmodel.js";
import { switchRow } from "./switches.js";
import { texts } from "./texts.js";

const PICTURES = 4;

/** Show the choice; `missed` opens a clip at a time with a box to place. Returns what closes it. */
export function showChoice(body, answer, missed) {
  const choice = new Choice(body, answer);
  choice.begin(missed);
  return choice;
}

class Choice {
  #body;
  #answer;
  #cards = new Map();
  #open = null;
  #rings = h("div", { class: "panel choice-rings", hidden: true });
  #sum = h("div", { class: "choice-sum" });
  #problem = h("p", { class: "error", role: "alert" });

  constructor(body, answer) {
    this.#body = body;
    this.#answer = answer;
  }

  begin(missed) {
    const t = texts.review;
    const { clips, limits } = this.#answer.draft;
    if (clips.every((clip) => clip.gone)) {
      this.#body.append(h("div", { class: "notice warn" }, h("p", {}, t.noneLeft)), decideRow(this.#answer));
      return;
    }
    const list = h("ul", { class: "plain clip-cards" }, clips.map((clip) => (clip.gone ? goneCard(clip) : this.#card(clip))));
    const next = h("button", { type: "button", class: "primary", onclick: () => busy(next, () => this.#next()) }, t.next, icon("right"));
    this.#body.append(
      h("section", { "aria-labelledby": "clips-title" }, h("h2", { id: "clips-title" }, t.clips), h("p", { class: "text" }, t.clipsHint(limits.clips, limits.clip_us / 1e6)), list),
      this.#rings,
      h("div", { class: "choice-bar" }, h("div", {}, this.#sum, this.#problem), next),
      decideRow(this.#answer),
    );
    this.#show();
    const kept = missed?.clip ?? this.#answer.kept().open;
    if (this.#cards.has(kept)) {
      this.#edit(kept, missed);
    }
  }

  close() {
    this.#open?.editor.close();
    this.#open = null;
  }

  /** Take a changed part; whatever shows it shows it anew. */
  change(part) {
    this.#answer.parts = this.#answer.parts.map((one) => (one.clip === part.clip ? part : one));
    this.#answer.keep();
    this.#show();
  }

  part(clip) {
    return this.#answer.parts.find((one) => one.clip === clip);
  }

  #card(clip) {
    const t = texts.review;
    const when = moment(clip.start_us);
    const id = uniqueId("clip");
    const tick = h("input", { type: "checkbox", id, checked: this.part(clip.clip).chosen, onchange: () => this.#ticked(clip.clip, tick.checked) });
    const takes = h("p", { class: "numbers clip-takes" });
    const seal = h("p", { class: "clip-seal" });
    const edit = h("button", { type: "button", class: "small", "aria-expanded": "false", onclick: () => this.#toggle(clip.clip) });
    const place = h("div", { class: "clip-editor", hidden: true });
    const card = h(
      "li",
      { class: "card clip-card" },
      h("div", { class: "clip-head" }, tick, h("label", { for: id, "aria-label": t.share(when) }, pictures(clip), h("span", { class: "clip-when" }, when)), h("div", { class: "clip-facts" }, takes, seal), edit),
      place,
    );
    this.#cards.set(clip.clip, { clip, card, tick, takes, seal, edit, place, when });
    return card;
  }

  #ticked(clip, chosen) {
    this.change({ ...this.part(clip), chosen });
    if (chosen && this.#open?.clip !== clip) {
      this.#edit(clip);
    } else if (!chosen && this.#open?.clip === clip) {
      this.#shut();
    }
  }

  #toggle(clip) {
    if (this.#open?.clip === clip) {
      this.#shut();
    } else {
      this.#edit(clip);
    }
  }

  #edit(clip, missed = null) {
    this.#shut();
    const { place } = this.#cards.get(clip);
    place.hidden = false;
    this.#open = { clip, editor: openEditor(place, this.#cards.get(clip).clip, this.#answer, this, missed) };
    this.#answer.keep({ open: clip });
    this.#show();
  }

  #shut() {
    if (this.#open) {
      const { place } = this.#cards.get(this.#open.clip);
      this.#open.editor.close();
      replace(place).hidden = true;
      this.#open = null;
      this.#answer.keep({ open: null });
      this.#show();
    }
  }

  #show() {
    const t = texts.review;
    for (const [id, { clip, card, tick, takes, seal, edit, when }] of this.#cards) {
      const part = this.part(id);
      const isOpen = this.#open?.clip === id;
      const why = derivedBy(part, clip);
      tick.checked = part.chosen;
      card.classList.toggle("chosen", part.chosen);
      takes.textContent = t.takes(clockSeconds(part.from_us), clockSeconds(part.until_us), duration(part.until_us - part.from_us));
      replace(seal, h("span", { class: ["chip", why.length === 0 ? "good" : "warn"] }, icon(why.length === 0 ? "shield" : "scissors"), why.length === 0 ? texts.theyget.sealed : texts.theyget.derived));
      edit.setAttribute("aria-expanded", String(isOpen));
      edit.setAttribute("aria-label", `${isOpen ? t.editing : t.edit}: ${t.editOf(when)}`);
      replace(edit, icon(isOpen ? "close" : "scissors"), isOpen ? t.editing : t.edit);
    }
    this.#showRings();
    const sum = totals(this.#answer.parts, this.#answer.draft.clips.filter((clip) => !clip.gone));
    replace(this.#sum, h("b", { class: "numbers" }, t.sum(sum)), h("span", { class: "quiet" }, t.sumHow(sum)));
    if (sum.clips > 0) {
      this.#problem.textContent = this.#words();
    }
  }

  #showRings() {
    const rings = ringsWithin(this.#answer.draft.rings, this.#answer.parts);
    const isShown = rings.length > 0;
    if (isShown) {
      const row = this.#rings.firstElementChild ?? switchRow(texts.review.rings, "", this.#answer.rings, (on) => {
        this.#answer.rings = on;
        this.#answer.keep();
      });
      row.querySelector(".hint").textContent = texts.review.ringsWhat(rings.length);
      replace(this.#rings, row);
    }
    this.#rings.hidden = !isShown;
  }

  #words() {
    const found = problem(this.#answer.parts, this.#answer.draft.limits);
    const words = texts.review.problems[found];
    return typeof words === "function" ? words(this.#answer.draft.limits.clips) : words ?? "";
  }

  async #next() {
    const words = this.#words();
    this.#problem.textContent = words;
    if (words) {
      announce(words, { urgent: true });
      focusOn(this.#cards.values().next().value.tick);
      return;
    }
    await this.#answer.build().catch((error) => toast(error.message, { kind: "bad" }));
  }
}

function goneCard(clip) {
  return h("li", { class: "card clip-card gone" }, h("p", {}, h("b", {}, texts.review.gone), " ", clip.gone));
}

/** A few pictures of what was asked of the clip, for who looks; the label beside it says when. */
function pictures(clip) {
  const asked = clip.strip.filter(({ at_us: at }) => clip.overlap.from_us <= at && at < clip.overlap.until_us);
  const from = asked.length > 0 ? asked : clip.strip;
  const some = from.filter((_, at) => at % Math.ceil(from.length / PICTURES) === 0).slice(0, PICTURES);
  return h("span", { class: "clip-pictures" }, some.map(({ url }) => h("img", { src: url, alt: "", loading: "lazy", width: 128, height: 72 })));
}

