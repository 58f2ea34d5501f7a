// While the bundle is made: how far it is, and a way to give it up. The stream tells; where it is silent, one asks.

import { api, ApiError } from "./api.js";
import { announce, busy, h } from "./dom.js";
import { share } from "./format.js";
import { showError } from "./overlays.js";
import { texts } from "./texts.js";

const SILENT_MS = 2_000;
const TOLD_EVERY = 0.25;

/** Show it until it is made; returns what closes it. */
export function showBuilding(body, answer) {
  const id = answer.draft.draft;
  const bar = h("i");
  const progress = h("div", { class: "progress", role: "progressbar", "aria-label": texts.review.building, "aria-valuemin": 0, "aria-valuemax": 100 }, bar);
  const what = h("p", { class: "quiet numbers building-what" });
  const cancel = h("button", { type: "button", onclick: () => busy(cancel, giveUp) }, texts.review.cancel);
  body.append(h("div", { class: "panel building" }, progress, what, h("div", { class: "row" }, cancel)));
  let told = 0;
  let timer = 0;
  let open = true;

  const look = () => api(`/api/drafts/${id}`, undefined, { unattended: true });

  function show({ progress: part = 0, what: step = "" }) {
    const words = texts.review.buildingStep(step);
    progress.setAttribute("aria-valuenow", Math.round(part * 100));
    bar.style.setProperty("--part", part);
    what.textContent = `${words}${words ? ", " : ""}${share(part)}`;
    if (part >= told + TOLD_EVERY) {
      told = part;
      announce(`${words}, ${share(part)}`);
    }
  }

  async function hear(line) {
    clearTimeout(timer);
    if (!open) {
      return;
    }
    if (line.state === "building") {
      show(line);
      timer = setTimeout(ask, SILENT_MS);
    } else {
      open = false;
      await answer.try(async () => answer.built(line.clips ? line : await look())).catch((error) => showError(body, error, ask));
    }
  }

  async function giveUp() {
    open = false; // what is told of it from now on is of no interest
    await answer.cancel().catch((error) => showError(body, error, ask));
  }

  async function ask() {
    open = true;
    try {
      await hear(await look());
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      showError(body, error, ask);
    }
  }

  const stop = answer.on("draft", (line) => { if (line.draft === id) { hear(line); } });
  hear(answer.draft);
  return {
    close() {
      open = false;
      clearTimeout(timer);
      stop();
    },
  };
}
