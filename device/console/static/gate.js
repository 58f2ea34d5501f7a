// What stands before the console: the page without a session, and the page that asks for the passphrase.

import { api, ApiError } from "./api.js";
import { passkeyAnswer, passkeyWords } from "./ceremony.js";
import { announce, busy, h, replace } from "./dom.js";
import { icon, mark } from "./icons.js";
import { canUsePasskeys } from "./passkey.js";
import { SecretField } from "./secretfield.js";
import { texts } from "./texts.js";

/** Draw the page of somebody who has no session. `error` says why, `again` what to try. */
export function drawOpen(app, error, again) {
  const t = texts.open;
  document.title = texts.common.title(t.title, 0);
  const isLink = error instanceof ApiError && error.status === 403;
  replace(
    app,
    gate(
      h("h1", {}, t.title),
      h("p", {}, t.lead),
      error && h("div", { class: "notice bad", role: "alert" }, isLink && h("h2", {}, t.failed), h("p", {}, error.message)),
      h("p", {}, t.how),
      h("p", { class: "quiet" }, t.why),
      again && h("button", { type: "button", class: "primary", onclick: again }, texts.common.tryAgain),
    ),
  );
  return { close() {} };
}

/** Draw the page that asks for the passphrase, and for a passkey where there is one; `enter` is what comes then. */
export function drawUnlock(app, context, enter) {
  const form = new Unlock(context, enter);
  document.title = texts.common.title(texts.unlock.title, 0);
  replace(app, gate(...form.parts()));
  announce(texts.unlock.locked);
  form.ready();
  return form;
}

function gate(...children) {
  return h(
    "main",
    { class: "gate" },
    h("div", { class: "gate-brand" }, mark(40), h("span", {}, texts.common.name)),
    h("div", { class: "panel gate-panel" }, children),
  );
}

class Unlock {
  #context;
  #enter;
  #button = h("button", { type: "submit", class: "primary wide-button" }, icon("lock"), texts.unlock.unlock);
  #passkeys = h("div", { class: "gate-passkey", hidden: true });
  #secret = new SecretField(this.#button);

  constructor(context, enter) {
    this.#context = context;
    this.#enter = enter;
  }

  parts() {
    const t = texts.unlock;
    const secret = this.#secret;
    return [
      h("h1", {}, t.title),
      h("p", {}, t.lead),
      h(
        "form",
        { novalidate: true, onsubmit: (event) => { event.preventDefault(); this.#submit(); } },
        h("div", { class: "field" }, h("label", { for: secret.input.id }, t.passphrase), secret.shown(), secret.error),
        this.#button,
      ),
      this.#passkeys,
      h("details", {}, h("summary", {}, t.whatTitle), h("ul", {}, t.what.map((line) => h("li", {}, line))), h("p", {}, t.forgotten)),
    ];
  }

  /** Once it is in the page: put the cursor where one types. */
  ready() {
    this.#secret.input.focus();
    this.update();
  }

  /** Go by the state as it was last asked for: whether one has to wait, and whether there is a passkey. */
  update() {
    const { wait_s: wait, passkeys } = this.#context.state;
    if (wait > 0 && !this.#secret.waits) {
      this.#secret.wait(wait);
    }
    const offered = passkeys.length > 0 && canUsePasskeys();
    if (offered === this.#passkeys.hidden) {
      this.#passkeys.hidden = !offered;
      const button = h("button", { type: "button", class: "wide-button", onclick: () => this.#byPasskey(button) }, icon("key"), texts.unlock.passkey);
      replace(this.#passkeys, h("p", { class: "or" }, texts.unlock.or), button);
    }
  }

  async #submit() {
    const passphrase = this.#secret.take();
    if (passphrase !== null) {
      await busy(this.#button, () => this.#try({ passphrase }));
    }
  }

  async #byPasskey(button) {
    await busy(button, async () => {
      const passkey = await passkeyAnswer("unlock").catch((error) => {
        this.#secret.fail(passkeyWords(error));
      });
      if (passkey) {
        await this.#try({ passkey });
      }
    });
  }

  async #try(proof) {
    try {
      await api("/api/unlock", proof);
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      this.#secret.refused(error);
      return;
    }
    this.#secret.close();
    await this.#enter();
  }

  close() {
    this.#secret.close();
  }
}
