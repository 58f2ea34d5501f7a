// What stands before the console: the page without a session, and the page that asks for the passphrase.

import { api, ApiError } from "./api.js";
import { passkeyAnswer, passkeyWords } from "./ceremony.js";
import { announce, busy, h, replace, uniqueId } from "./dom.js";
import { capital } from "./format.js";
import { icon, mark } from "./icons.js";
import { canUsePasskeys } from "./passkey.js";
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
  #timer = 0;
  #field;
  #error;
  #button;
  #passkeys;

  constructor(context, enter) {
    this.#context = context;
    this.#enter = enter;
    const id = uniqueId("passphrase");
    this.#error = h("p", { class: "error", id: `${id}-error`, role: "alert" });
    this.#field = h("input", {
      id, type: "password", name: "passphrase", autocomplete: "current-password", autocapitalize: "none", spellcheck: "false",
      "aria-describedby": `${id}-error`, oninput: () => this.#mend(),
    });
    this.#button = h("button", { type: "submit", class: "primary wide-button" }, icon("lock"), texts.unlock.unlock);
    this.#passkeys = h("div", { class: "gate-passkey", hidden: true });
  }

  parts() {
    const t = texts.unlock;
    return [
      h("h1", {}, t.title),
      h("p", {}, t.lead),
      h(
        "form",
        { novalidate: true, onsubmit: (event) => { event.preventDefault(); this.#submit(); } },
        h("div", { class: "field" }, h("label", { for: this.#field.id }, t.passphrase), this.#secret(), this.#error),
        this.#button,
      ),
      this.#passkeys,
      h("details", {}, h("summary", {}, t.whatTitle), h("ul", {}, t.what.map((line) => h("li", {}, line))), h("p", {}, t.forgotten)),
    ];
  }

  #secret() {
    const shown = h("button", { type: "button", class: "ghost icon-only", "aria-label": texts.unlock.show, "aria-pressed": "false" }, icon("eye"));
    shown.addEventListener("click", () => {
      const visible = this.#field.type === "password";
      this.#field.type = visible ? "text" : "password";
      shown.setAttribute("aria-pressed", String(visible));
      replace(shown, icon(visible ? "eye-off" : "eye"));
      this.#field.focus();
    });
    return h("div", { class: "secret" }, this.#field, shown);
  }

  /** Once it is in the page: put the cursor where one types. */
  ready() {
    this.#field.focus();
    this.update();
  }

  /** Go by the state as it was last asked for: whether one has to wait, and whether there is a passkey. */
  update() {
    const { wait_s: wait, passkeys } = this.#context.state;
    if (wait > 0 && !this.#timer) {
      this.#wait(wait, "");
    }
    const offered = passkeys.length > 0 && canUsePasskeys();
    if (offered === this.#passkeys.hidden) {
      this.#passkeys.hidden = !offered;
      const button = h("button", { type: "button", class: "wide-button", onclick: () => this.#byPasskey(button) }, icon("key"), texts.unlock.passkey);
      replace(this.#passkeys, h("p", { class: "or" }, texts.unlock.or), button);
    }
  }

  async #submit() {
    if (this.#field.value === "") {
      this.#fail(texts.unlock.empty);
    } else if (!this.#timer) {
      await busy(this.#button, () => this.#try({ passphrase: this.#field.value }));
    }
  }

  async #byPasskey(button) {
    await busy(button, async () => {
      const passkey = await passkeyAnswer("unlock").catch((error) => {
        this.#fail(passkeyWords(error));
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
      this.#refused(error);
      return;
    }
    this.#field.value = "";
    await this.#enter();
  }

  #refused(error) {
    this.#field.select();
    this.#field.setAttribute("aria-invalid", "true");
    if (error.data.wait_s > 0) {
      this.#wait(error.data.wait_s, error.status === 429 ? "" : error.message);
    } else {
      this.#fail(error.message);
    }
  }

  #mend() {
    this.#field.removeAttribute("aria-invalid");
    if (!this.#timer) {
      this.#error.textContent = "";
    }
  }

  #fail(message) {
    this.#field.setAttribute("aria-invalid", "true");
    this.#error.textContent = capital(message);
    this.#field.focus();
  }

  /** Count down the seconds in which no passphrase is looked at. */
  #wait(seconds, why) {
    clearInterval(this.#timer);
    const until = performance.now() + seconds * 1_000;
    const count = h("span", { "aria-hidden": "true" });
    replace(this.#error, why && `${capital(why)}. `, count);
    announce(texts.unlock.wait(Math.ceil(seconds)));
    this.#button.setAttribute("aria-disabled", "true");
    const tick = () => {
      const left = Math.ceil((until - performance.now()) / 1_000);
      count.textContent = texts.unlock.wait(left);
      if (left <= 0) {
        this.close();
        this.#error.textContent = texts.unlock.again;
        this.#button.removeAttribute("aria-disabled");
      }
    };
    this.#timer = setInterval(tick, 250);
    tick();
  }

  close() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }
}
