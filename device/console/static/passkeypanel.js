// The passkeys that unlock the console: which there are, adding one under the passphrase, removing one.

import { api, ApiError } from "./api.js";
import { passkeyWords } from "./ceremony.js";
import { busy, h, replace, uniqueId } from "./dom.js";
import { capital, date } from "./format.js";
import { icon } from "./icons.js";
import { confirmed, dialog, toast } from "./overlays.js";
import { addPasskey, canUsePasskeys, forgetPasskey, PasskeyError } from "./passkey.js";
import { texts } from "./texts.js";

const t = texts.settings;
const AGAIN = new Set([403, 429]); // the passphrase was wrong, or came too soon after one that was

/** The panel. What it learns goes into the state too: by that the page behind the lock offers a passkey. */
export function passkeyPanel(context) {
  const list = h("div");
  const draw = (passkeys) => {
    context.state.passkeys = passkeys;
    replace(list, passkeys.length > 0 ? h("ul", { class: "plain rows" }, passkeys.map((one) => row(one, draw))) : h("p", { class: "quiet" }, t.noPasskeys));
  };
  draw(context.state.passkeys);
  return h(
    "section",
    { class: "panel", "aria-labelledby": "passkeys-title" },
    h("h2", { id: "passkeys-title" }, t.passkeys),
    h("p", {}, t.passkeysWhat),
    list,
    canUsePasskeys() ? h("button", { type: "button", onclick: () => askNew(draw) }, icon("key"), t.addPasskey) : h("p", { class: "notice" }, t.noPasskeySupport),
  );
}

function row({ id, name, created_us: created }, draw) {
  const remove = h("button", { type: "button", class: "small quiet-danger", "aria-label": `${t.remove}: ${name}`, onclick: () => busy(remove, async () => {
    if (!(await confirmed({ title: t.removeAsk(name), body: h("p", {}, t.removeMeans), yes: t.removeYes, danger: true }))) {
      return;
    }
    try {
      const { passkeys } = await api("/api/passkeys/remove", { id });
      await forgetPasskey(id);
      toast(t.passkeyRemoved(name), { kind: "good" });
      draw(passkeys);
    } catch (error) {
      if (error.status === undefined) { throw error; }
      toast(error.message, { kind: "bad" });
    }
  }) }, t.remove);
  return h("li", { class: "row between" }, h("span", {}, icon("key"), " ", h("b", {}, name), h("span", { class: "quiet" }, `, ${t.added(date(created))}`)), remove);
}

function askNew(draw) {
  const [nameId, phraseId] = [uniqueId("name"), uniqueId("passphrase")];
  const given = new AbortController();
  const name = h("input", { id: nameId, value: t.passkeyDefault, maxlength: 60, required: true, "aria-describedby": `${nameId}-hint` });
  const phrase = h("input", { id: phraseId, type: "password", autocomplete: "current-password", required: true, "aria-describedby": `${phraseId}-error` });
  const error = h("p", { class: "error", id: `${phraseId}-error`, role: "alert" });
  const add = h("button", { type: "submit", class: "primary" }, t.add);
  const form = h(
    "form",
    { onsubmit: (event) => { event.preventDefault(); busy(add, () => make({ name: name.value.trim(), passphrase: phrase.value, signal: given.signal })); } },
    h("p", {}, t.addPasskeyWhat),
    h("div", { class: "field" }, h("label", { for: nameId }, t.passkeyName), name, h("p", { class: "hint", id: `${nameId}-hint` }, t.passkeyNameHint)),
    h("div", { class: "field" }, h("label", { for: phraseId }, t.passphrase), phrase, error),
    h("div", { class: "row end" }, h("button", { type: "button", onclick: () => opened.close() }, texts.common.cancel), add),
  );
  const opened = dialog({ title: t.addPasskey, body: form, onclose: ended });
  name.select();
  let made = null; // a passkey that the console does not know yet: after a wrong passphrase it is not made again
  let isSending = false;
  let isClosed = false;

  function ended() {
    isClosed = true;
    given.abort();
    if (!isSending) { // else its answer says whether the console knows it now
      forget();
    }
  }

  async function forget() {
    const id = made?.credential.id;
    made = null;
    if (id) {
      await forgetPasskey(id);
    }
  }

  async function make({ name: called, passphrase, signal }) {
    error.textContent = "";
    try {
      made ??= await begun(signal);
      isSending = true;
      const { passkeys } = await api("/api/passkeys/add", { ...made, name: called, passphrase });
      made = null;
      opened.close();
      toast(t.passkeyAdded(called), { kind: "good" });
      draw(passkeys);
    } catch (failure) {
      if (!(failure instanceof ApiError || failure instanceof PasskeyError)) {
        throw failure;
      }
      error.textContent = capital(passkeyWords(failure));
      phrase.select();
      if (failure.status === 0 && isSending) {
        made = null; // nobody knows whether it was added, so it is not taken away either
      } else if (isClosed || !AGAIN.has(failure.status)) {
        await forget();
      }
    } finally {
      isSending = false;
    }
  }
}

async function begun(signal) {
  const { options, ceremony } = await api("/api/passkeys/options", { purpose: "add" }, { signal });
  return { ceremony, ...(await addPasskey(options, signal)) };
}
