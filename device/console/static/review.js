// One device's answer to one request: choose, see what they get, decide. This is the order of the steps; each is drawn
// elsewhere. A reload comes back to where one was: the draft is the console's, the choice is kept in this tab.

import { api, ApiError } from "./api.js";
import { showBuilding } from "./building.js";
import { showChoice } from "./choose.js";
import { focusOn, h, replace } from "./dom.js";
import { parseUs, range } from "./format.js";
import { icon } from "./icons.js";
import { Kept, wasForgotten } from "./kept.js";
import { showOutcome } from "./outcome.js";
import { partsOf, wireChoice } from "./reviewmodel.js";
import { hrefs } from "./router.js";
import { texts } from "./texts.js";
import { showWhatTheyGet } from "./theyget.js";

const AWAY = "away";

/** Draw the review of a request on a device. */
export async function view(root, { leaf, device }, context) {
  const answer = new Answer(root, leaf, device, context);
  await answer.begin();
  return () => answer.close();
}

class Answer {
  #root;
  #context;
  #kept;
  #stops;
  #step = null;
  #isOver = false; // decided here, or found to be decided elsewhere
  #isUnsure = false; // decided here, but the answer was lost: it may have counted
  #isClosed = false;

  constructor(root, leaf, device, context) {
    Object.assign(this, { leaf, device, request: null, draft: null, parts: [], rings: false });
    this.#root = root;
    this.#context = context;
    this.#kept = new Kept(leaf, device);
    this.#stops = [context.on("requests", () => this.#lookAgain())];
  }

  async begin() {
    replace(this.#root, h("p", { class: "quiet", role: "status" }, texts.review.opening), h("div", { class: "skeleton review-skeleton" }));
    this.request = await this.#ask();
    if (this.place === undefined) {
      throw new ApiError(404, texts.review.notHere(this.device));
    }
    if (this.place.state === AWAY) {
      throw new ApiError(0, texts.review.isAway(this.device));
    }
    if (this.place.state !== "offered") {
      this.#ended({ focus: false });
      return;
    }
    const kept = this.#kept.read();
    const found = await this.#find(kept.draft);
    this.#take(found ?? await api("/api/drafts", { leaf: this.leaf, device: this.device }));
    this.parts = partsOf(this.draft, kept.parts);
    this.rings = kept.rings ?? this.draft.choice?.rings ?? false;
    this.#kept.write({ draft: this.draft.draft });
    const isLost = kept.draft !== undefined && found === null && kept.step === "look";
    if (this.draft.state === "building") {
      this.#building({ focus: false });
    } else if (this.draft.state === "ready" && kept.step === "look") {
      this.#look({ focus: false });
    } else {
      this.#choose({ focus: false, failed: this.draft.error, note: isLost ? texts.review.again : wasForgotten() ? texts.review.forgotten : null });
    }
  }

  close() {
    this.#isClosed = true;
    this.#step?.close();
    this.#step = null;
    this.#stops.forEach((stop) => stop());
  }

  get place() {
    return this.request.places.find(({ device }) => device === this.device);
  }

  get agency() {
    return this.request.agency.name;
  }

  on(kind, handler) {
    return this.#context.on(kind, handler);
  }

  get passkeys() {
    return this.#context.state.passkeys;
  }

  /** Keep what is chosen at this moment. */
  keep(changes = {}) {
    this.#kept.write({ parts: this.parts, rings: this.rings, ...changes });
  }

  kept() {
    return this.#kept.read();
  }

  /** Have the choice made, unless just that lies ready. */
  async build() {
    const choice = wireChoice(this.parts, this.rings);
    if (this.draft.state === "ready" && JSON.stringify(choice) === JSON.stringify(this.draft.choice)) {
      this.#look();
      return;
    }
    await this.try(async () => {
      this.#take(await api(`/api/drafts/${this.draft.draft}/build`, { choice }));
      this.#building();
    });
  }

  /** Back to choosing; `missed` is where a box is to be added. */
  choose(missed = null) {
    this.#choose({ missed });
  }

  /** What was made, once it is; or why it was not. */
  built(draft) {
    this.#take(draft);
    if (draft.state === "ready") {
      this.#look();
    } else {
      this.#choose({ failed: draft.error });
    }
  }

  /** Give up what is being made; the choice stays. */
  async cancel() {
    const { draft } = this.draft;
    await api(`/api/drafts/${draft}/drop`, {}).catch(unlessGone);
    this.#take(await api("/api/drafts", { leaf: this.leaf, device: this.device }));
    this.#kept.write({ draft: this.draft.draft });
    this.#choose();
  }

  /** Decide here, and show what becomes of it. Once `work` is done it is decided (`state`), whatever fails after that. */
  async decide(state, work) {
    this.#isOver = true; // the stream may tell of it before the answer comes
    try {
      await work();
    } catch (error) {
      this.#isOver = false;
      this.#isUnsure ||= error.status === 0;
      throw error;
    }
    this.#kept.forget();
    if (!(await this.again())) {
      const places = this.request.places.map((place) => (place.device === this.device ? { ...place, state } : place));
      this.request = { ...this.request, places };
    }
    this.#ended();
  }

  /** Do something that another tab may have made pointless; then say so, instead of the error. */
  async try(work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ApiError) || !(await this.#lookAgain())) {
        throw error;
      }
    }
  }

  /** Ask how it stands now; false where nobody can tell at the moment, and what was known stays. */
  async again() {
    const found = await this.#ask().catch(unlessRefused);
    const place = found?.places.find(({ device }) => device === this.device);
    if (place === undefined || place.state === AWAY) {
      return false;
    }
    this.request = found;
    return true;
  }

  async #lookAgain() {
    if (this.draft === null || this.#isOver) {
      return false;
    }
    if (!(await this.again()) || this.place.state === "offered" || this.#isOver) {
      return false;
    }
    this.#isOver = true;
    this.#kept.forget();
    this.#ended({ elsewhere: !this.#isUnsure });
    return true;
  }

  /** It is asked by itself as well, while an answer is on its way: that keeps nothing unlocked. */
  #ask() {
    return api(`/api/request?leaf=${encodeURIComponent(this.leaf)}`, undefined, { unattended: true });
  }

  async #find(draft) {
    return draft === undefined ? null : await api(`/api/drafts/${encodeURIComponent(draft)}`).catch(unlessGone);
  }

  #take(draft) {
    this.draft = draft;
  }

  #choose({ focus = true, note = null, failed = null, missed = null } = {}) {
    const when = range(parseUs(this.request.request.start), parseUs(this.request.request.end));
    this.#show("choose", texts.review.title(this.device), texts.review.lead(this.agency, when), focus, (body) => {
      if (failed ?? note) {
        body.append(h("div", { class: ["notice", failed ? "bad" : "warn"], role: "alert" }, failed && h("h2", {}, texts.review.buildFailed), h("p", {}, failed ?? note)));
      }
      return showChoice(body, this, missed);
    });
  }

  #building({ focus = true } = {}) {
    this.#show("look", texts.review.building, texts.review.buildingWhat, focus, (body) => showBuilding(body, this));
  }

  #look({ focus = true } = {}) {
    this.#show("look", texts.theyget.title, texts.theyget.lead(this.agency), focus, (body) => showWhatTheyGet(body, this));
  }

  #ended({ focus = true, elsewhere = false } = {}) {
    this.draft = null;
    document.querySelectorAll("dialog.deciding").forEach((dialog) => dialog.close());
    this.#draw(focus, () => showOutcome(this.#root, this, { elsewhere }));
  }

  #show(name, title, lead, focus, fill) {
    this.#kept.write({ step: name });
    this.#draw(focus, () => {
      const body = h("div", { class: "review-step" });
      replace(
        this.#root,
        h("p", { class: "crumb" }, h("a", { href: hrefs.request(this.leaf) }, icon("left", { size: 16 }), texts.review.back)),
        steps(name === "choose" ? 0 : 1),
        h("h1", {}, title),
        h("p", { class: "lead" }, lead),
        body,
      );
      return fill(body);
    });
  }

  /** Draw another step, unless one has gone elsewhere meanwhile. */
  #draw(focus, step) {
    this.#step?.close();
    this.#step = null;
    if (!this.#isClosed) {
      this.#step = step();
      this.#reveal(focus);
    }
  }

  #reveal(focus) {
    if (focus) {
      window.scrollTo(0, 0);
      focusOn(this.#root.querySelector("h1"));
    }
  }
}

function steps(current) {
  const item = (name, at) => h("li", { "aria-current": at === current ? "step" : null, class: at < current && "done" }, h("span", {}, at < current ? icon("check", { size: 16 }) : at + 1), name);
  return h("ol", { class: "review-steps", "aria-label": texts.review.steps }, texts.review.step.map(item));
}

/** What the console refused, or could not do, leaves nothing; a mistake of ours is thrown on. */
function unlessRefused(error) {
  if (error instanceof ApiError) {
    return null;
  }
  throw error;
}

function unlessGone(error) {
  if (error.status === 404) {
    return null;
  }
  throw error;
}

