// Settings: passkeys, another tab, notifications, locking, and what runs here.

import { api } from "./api.js";
import { busy, h, replace } from "./dom.js";
import { icon } from "./icons.js";
import { allowNotifications, notificationState, stopNotifications } from "./notices.js";
import { toast } from "./overlays.js";
import { passkeyPanel } from "./passkeypanel.js";
import { texts } from "./texts.js";

const t = texts.settings;

/** See `home.js` for the shape of a view. */
export async function view(root, _, context) {
  replace(root, h("h1", {}, t.title), h("div", { class: "skeleton skeleton-day" }));
  const state = await context.refresh();
  replace(root, h("h1", {}, t.title), h("div", { class: "narrow-column" }, passkeyPanel(context), linkPanel(), noticePanel(), lockPanel(), aboutPanel(state)));
}

function panel(id, title, ...children) {
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, title), children);
}

function linkPanel() {
  const made = h("div", { class: "made-link" });
  const make = h("button", { type: "button", onclick: () => busy(make, async () => {
    try {
      const { url } = await api("/api/link", {});
      replace(made, shownLink(url)).querySelector("input").select();
    } catch (error) {
      if (error.status === undefined) { throw error; }
      toast(error.message, { kind: "bad" });
    }
  }) }, t.makeLink);
  return panel("link-title", t.link, h("p", {}, t.linkWhat), make, made);
}

function shownLink(url) {
  const field = h("input", { id: "made-link", readonly: true, value: url, class: "code" });
  const copy = h("button", { type: "button", onclick: async () => {
    await navigator.clipboard.writeText(url);
    toast(t.copied, { kind: "good" });
  } }, t.copy);
  return h("div", { class: "field" }, h("label", { for: "made-link" }, t.linkLabel), h("div", { class: "secret" }, field, copy));
}

function noticePanel() {
  const what = h("div");
  const draw = () => {
    const state = notificationState();
    const words = { on: t.noticesOn, off: t.noticesOff, denied: t.noticesDenied, none: t.noticesNone }[state];
    const allow = h("button", { type: "button", onclick: () => busy(allow, async () => { await allowNotifications(); draw(); }) }, icon("bell"), t.allow);
    const stop = h("button", { type: "button", onclick: () => { stopNotifications(); draw(); } }, t.turnOff);
    replace(what, h("p", { class: "quiet" }, words), { on: stop, off: allow }[state]);
  };
  draw();
  return panel("notices-title", t.notices, h("p", {}, t.noticesWhat), what);
}

function lockPanel() {
  const lock = h("button", { type: "button", onclick: () => busy(lock, () => api("/api/lock", {})) }, icon("lock"), t.lockNow);
  return panel("lock-title", t.lockTitle, h("p", {}, t.lockWhat), lock);
}

function aboutPanel({ version, devices }) {
  return panel(
    "about-title",
    t.about,
    h("dl", {}, h("dt", {}, t.version), h("dd", {}, version), devices.map(({ device, kind }) => [h("dt", {}, device), h("dd", {}, texts.home.kinds[kind] ?? "")])),
  );
}
