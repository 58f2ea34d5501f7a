// The field for the passphrase: what was wrong with it, and the countdown while no passphrase is looked at.

import { announce, h, replace, uniqueId } from "./dom.js";
import { capital } from "./format.js";
import { icon } from "./icons.js";
import { texts } from "./texts.js";

const t = texts.unlock;
const TICK_MS = 250;

/** One field and its error line. `button` is what sends it, and waits with it. */
export class SecretField {
  #field;
  #error;
  #button;
  #timer = 0;

  /** @param {HTMLButtonElement} button  @param {string} [hint] the id of a line that explains the field */
  constructor(button, hint = "") {
    const id = uniqueId("passphrase");
    this.#button = button;
    this.#error = h("p", { class: "error", id: `${id}-error`, role: "alert" });
    this.#field = h("input", {
      id, type: "password", name: "passphrase", autocomplete: "current-password", autocapitalize: "none", spellcheck: "false",
      "aria-describedby": `${hint} ${id}-error`.trim(), oninput: () => this.#mend(),
    });
  }

  /** The input itself. */
  get input() {
    return this.#field;
  }

  /** The line that says what is wrong. */
  get error() {
    return this.#error;
  }

  /** Whether no passphrase is looked at now. */
  get waits() {
    return this.#timer !== 0;
  }

  /** The field with a button that shows what is typed. */
  shown() {
    const eye = h("button", { type: "button", class: "ghost icon-only", "aria-label": t.show, "aria-pressed": "false" }, icon("eye"));
    eye.addEventListener("click", () => {
      const visible = this.#field.type === "password";
      this.#field.type = visible ? "text" : "password";
      eye.setAttribute("aria-pressed", String(visible));
      replace(eye, icon(visible ? "eye-off" : "eye"));
      this.#field.focus();
    });
    return h("div", { class: "secret" }, this.#field, eye);
  }

  /** Return what was typed, or null where nothing can be sent now; an empty field is told of. */
  take() {
    if (this.#field.value === "") {
      this.fail(t.empty);
      return null;
    }
    return this.waits ? null : this.#field.value;
  }

  /** Say what the console answered: a line, or for how long one has to wait. */
  refused(error, message = error.message) {
    this.#field.select();
    if (error.data.wait_s > 0) {
      this.wait(error.data.wait_s, error.status === 429 ? "" : message);
    } else {
      this.fail(message);
    }
  }

  /** Say what is wrong, and put the cursor there. */
  fail(message) {
    this.#field.setAttribute("aria-invalid", "true");
    this.#error.textContent = capital(message);
    this.#field.focus();
  }

  /** Count down the seconds in which no passphrase is looked at. */
  wait(seconds, why = "") {
    this.#stop();
    const until = performance.now() + seconds * 1_000;
    const count = h("span", { "aria-hidden": "true" });
    replace(this.#error, why && `${capital(why.replace(/\.$/, ""))}. `, count);
    if (why) {
      this.#field.setAttribute("aria-invalid", "true");
    }
    announce(t.wait(Math.ceil(seconds)));
    this.#button.setAttribute("aria-disabled", "true");
    const tick = () => {
      const left = Math.ceil((until - performance.now()) / 1_000);
      count.textContent = t.wait(left);
      if (left <= 0) {
        this.#stop();
        this.#error.textContent = t.again;
        this.#button.removeAttribute("aria-disabled");
      }
    };
    this.#timer = setInterval(tick, TICK_MS);
    tick();
  }

  /** Forget what was typed, and stop counting. */
  close() {
    this.#stop();
    this.#field.value = "";
  }

  #stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  #mend() {
    this.#field.removeAttribute("aria-invalid");
    if (!this.waits) {
      this.#error.textContent = "";
    }
  }
}
