// What lies over the page: dialogs that ask, and toasts that tell and go.

import { announce, focusOn, h, replace, uniqueId } from "./dom.js";
import { capital } from "./format.js";
import { icon } from "./icons.js";
import { texts } from "./texts.js";

const TOAST_MS = 8_000;

/**
 * Open a modal dialog. Escape and its own close button close it; the focus goes back to where it was.
 * @param {{title: string, body: any, actions?: any, wide?: boolean, className?: string, onclose?: () => void}} what
 * @returns {{element: HTMLDialogElement, close: (value?: string) => void, closed: Promise<string>}}
 */
export function dialog({ title, body, actions = null, wide = false, className = "", onclose = () => {} }) {
  const heading = uniqueId("dialog");
  const before = document.activeElement;
  const close = h("button", { class: "ghost icon-only", type: "button", "aria-label": texts.common.close }, icon("close"));
  const element = h(
    "dialog",
    { class: ["dialog", wide && "wide-dialog", className], "aria-labelledby": heading },
    h("header", {}, h("h2", { id: heading }, title), close),
    h("div", { class: "dialog-body" }, body),
    actions && h("footer", {}, actions),
  );
  const closed = new Promise((resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      onclose();
      if (before?.isConnected) {
        focusOn(before);
      }
      resolve(element.returnValue);
    });
  });
  close.addEventListener("click", () => element.close(""));
  document.body.append(element);
  element.showModal();
  return { element, close: (value = "") => element.close(value), closed };
}

/**
 * Ask before something is done; resolves to true if the owner says yes. The button that changes nothing has the focus.
 * @param {{title: string, body: any, yes: string, no?: string, danger?: boolean}} what
 */
export async function confirmed({ title, body, yes, no = texts.common.cancel, danger = false }) {
  const stay = h("button", { type: "button", autofocus: true, onclick: () => opened.close("") }, no);
  const go = h("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => opened.close("yes") }, yes);
  const opened = dialog({ title, body, actions: [stay, go] });
  stay.focus();
  return (await opened.closed) === "yes";
}

/**
 * Show a line for some seconds at the edge of the page (longer while it is pointed at), and tell it to who listens.
 * @param {string} text
 * @param {{kind?: "good"|"bad"|"plain"}} [how]
 */
export function toast(text, { kind = "plain" } = {}) {
  const gone = () => element.remove();
  const element = h(
    "div",
    { class: ["toast", kind] },
    icon({ good: "check", bad: "alert", plain: "info" }[kind]),
    h("p", {}, capital(text)),
    h("button", { type: "button", class: "ghost icon-only small", "aria-label": texts.common.dismiss, onclick: gone }, icon("close")),
  );
  const shown = document.getElementById("toasts");
  shown.querySelector(".toast")?.remove(); // one at a time: what was said before may not be so any more
  shown.append(element);
  announce(text, { urgent: kind === "bad" });
  const unlessRead = () => (element.matches(":hover, :focus-within") ? setTimeout(unlessRead, TOAST_MS) : gone());
  setTimeout(unlessRead, TOAST_MS);
  return gone;
}

/**
 * Show an error in a node's place: one line, and what to do.
 * @param {Element} node
 * @param {Error} error
 * @param {(() => void)|null} again what "Try again" does
 */
export function showError(node, error, again = null) {
  announce(error.message, { urgent: true });
  return replace(
    node,
    h(
      "div",
      { class: "failed", role: "group" },
      icon("alert"),
      h("p", {}, capital(error.message)),
      again && h("button", { type: "button", onclick: again }, texts.common.tryAgain),
    ),
  );
}
