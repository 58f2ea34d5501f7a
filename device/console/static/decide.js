// Deciding: approve with the passphrase or a passkey given just now, decline, or leave it.

import { api, ApiError } from "./api.js";
import { passkeyAnswer, passkeyWords } from "./ceremony.js";
import { meansNo } from "./declining.js";
import { busy, h, uniqueId } from "./dom.js";
import { list, size } from "./format.js";
import { icon } from "./icons.js";
import { dialog, toast } from "./overlays.js";
import { canUsePasskeys, PasskeyError } from "./passkey.js";
import { go, hrefs } from "./router.js";
import { SecretField } from "./secretfield.js";
import { texts } from "./texts.js";

const t = texts.decide;

/** What can be decided at a step. Approving is for where one sees what they get; `unseen` tells what of it was not played. */
export function decideRow(answer, unseen = null) {
  const approve = h("button", { type: "button", class: "primary", onclick: () => new Approval(answer).open(unseen()) }, icon("send"), t.approve);
  const change = h("button", { type: "button", onclick: () => answer.choose() }, icon("left"), texts.theyget.change);
  const no = h("button", { type: "button", class: "quiet-danger", onclick: () => busy(no, () => decline(answer)) }, t.decline);
  const leave = h("button", { type: "button", class: "ghost", onclick: () => { toast(texts.request.left); go(hrefs.requests()); } }, t.leave);
  return h("div", { class: "decide-row" }, h("div", { class: "row" }, unseen && [approve, change], no, leave), h("p", { class: "hint" }, t.leaveWhat));
}

async function decline(answer) {
  if (await meansNo(answer.agency, answer.device)) {
    const work = () => api("/api/decline", { leaf: answer.leaf, device: answer.device });
    await answer.try(() => answer.decide("declined", work)).catch((error) => toast(error.message, { kind: "bad" }));
  }
}

/** The dialog that names what leaves, and takes the owner's word for it. */
class Approval {
  #answer;
  #opened = null;
  #stop = new AbortController();
  #yes = h("button", { type: "submit", class: "primary" }, icon("send"), t.yes);
  #why = uniqueId("why");
  #secret = new SecretField(this.#yes, this.#why);

  constructor(answer) {
    this.#answer = answer;
  }

  open(unseen) {
    const { draft } = this.#answer;
    this.#opened = dialog({
      title: t.dialog(this.#answer.agency),
      body: [this.#facts(draft.bundle), unseen.length > 0 && h("p", { class: "notice warn" }, t.unseen(list(unseen))), h("p", {}, t.final), this.#form()],
      className: "deciding",
      onclose: () => {
        this.#stop.abort();
        this.#secret.close();
      },
    });
    this.#secret.input.focus();
  }

  #facts(bundle) {
    const length = bundle.clips.reduce((sum, clip) => sum + clip.end_us - clip.start_us, 0);
    const facts = [
      [t.labels.what, t.sends(bundle.clips.length, length, this.#answer.device)],
      [t.labels.who, this.#answer.agency],
      [t.labels.case, this.#answer.request.request.case],
      [t.labels.size, size(bundle.bytes)],
    ];
    return h("dl", {}, facts.flatMap(([name, what]) => [h("dt", {}, name), h("dd", {}, what)]));
  }

  #form() {
    const cancel = h("button", { type: "button", onclick: () => this.#opened.close() }, texts.common.cancel);
    const passkey = this.#answer.passkeys.length > 0 && canUsePasskeys();
    const byKey = h("button", { type: "button", onclick: () => busy(byKey, () => this.#byPasskey()) }, icon("key"), t.passkey);
    return h(
      "form",
      { novalidate: true, onsubmit: (event) => { event.preventDefault(); this.#submit(); } },
      h(
        "div",
        { class: "field" },
        h("label", { for: this.#secret.input.id }, t.passphrase),
        h("p", { class: "hint", id: this.#why }, t.why),
        this.#secret.shown(),
        this.#secret.error,
      ),
      h("div", { class: "row dialog-ends" }, cancel, passkey && byKey, this.#yes),
    );
  }

  async #submit() {
    const passphrase = this.#secret.take();
    if (passphrase !== null) {
      await busy(this.#yes, () => this.#send({ passphrase }));
    }
  }

  async #byPasskey() {
    try {
      const passkey = await passkeyAnswer("approve", { draft: this.#answer.draft.draft, signal: this.#stop.signal });
      await this.#send({ passkey });
    } catch (error) {
      if (!(error instanceof PasskeyError || error instanceof ApiError)) {
        throw error;
      }
      this.#secret.fail(passkeyWords(error));
    }
  }

  async #send(proof) {
    const { draft, bundle } = this.#answer.draft;
    try {
      await this.#answer.try(() => this.#answer.decide("approved", () => api(`/api/drafts/${draft}/approve`, { sha256: bundle.sha256, ...proof })));
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      this.#secret.refused(error, error.data.changed ? t.changed : error.message);
    }
  }
}
