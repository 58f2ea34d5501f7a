// The page's beginning: takes the link out of the address, finds out whether the console is locked, and draws what is to
// be seen then. Everything that was drawn is taken away at the moment it locks.

import { api, ApiError, hasToken, openSession, session, stream } from "./api.js";
import { drawOpen, drawUnlock } from "./gate.js";
import { Frame } from "./frame.js";
import { forgetChoices } from "./kept.js";
import { Lines } from "./lines.js";
import { watchNotices } from "./notices.js";
import { toast } from "./overlays.js";
import { routeOf } from "./router.js";
import { texts } from "./texts.js";

const app = document.getElementById("app");
const LINK = /^#open=([0-9A-Za-z_-]+)$/;

/** What each view is given: the state as last asked for, and a way to hear the stream. */
const lines = new Lines();
const context = { state: null, on: lines.on, refresh };
let drawn = null; // what is to be seen: an object with close()
let stopStream = null;

async function begin() {
  const link = LINK.exec(location.hash)?.[1];
  if (link) {
    history.replaceState(null, "", "/"); // a link that is left in the address would be kept in the history
    try {
      await openSession(link);
    } catch (error) {
      closed(error);
      return;
    }
  }
  if (hasToken()) {
    await enter();
  } else {
    closed();
  }
}

async function enter() {
  try {
    await refresh();
  } catch (error) {
    if (error.status !== 401) {
      closed(error, () => enter());
    }
    return;
  }
  stopStream ??= stream(lines.tell, lines.connection);
  draw();
}

async function refresh() {
  context.state = await api("/api/state", undefined, { unattended: true });
  return context.state;
}

function closed(error = null, again = null) {
  stopStream?.();
  stopStream = null;
  show(drawOpen(app, error, again));
}

function show(what) {
  drawn?.close();
  drawn = what;
}

function draw() {
  if (context.state.locked) {
    forgetChoices();
    show(drawUnlock(app, context, enter));
  } else if (drawn instanceof Frame) {
    drawn.go(routeOf(location.hash));
  } else {
    const frame = new Frame(app, context);
    show(frame);
    frame.go(routeOf(location.hash));
  }
}

function lockedNow() {
  if (context.state && !context.state.locked) {
    context.state = { ...context.state, locked: true, lock_in_s: null };
    draw();
  }
}

/** Ask how it stands behind the lock: whether there is a passkey now, and whether one has to wait. */
async function askAtTheLock() {
  try {
    await refresh();
  } catch (error) {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    return; // the process behind the lock is not there yet; the stream says when it is
  }
  drawn.update?.();
}

session.addEventListener("closed", () => closed());
session.addEventListener("locked", lockedNow);
lines.on("state", ({ locked }) => {
  if (locked) {
    lockedNow();
    askAtTheLock();
  } else if (context.state?.locked) {
    enter(); // another tab has unlocked it
  }
});
lines.on("lost", () => toast(texts.common.lost, { kind: "bad" }));
lines.on("found", () => toast(texts.common.found, { kind: "good" }));
document.getElementById("toasts").setAttribute("aria-label", texts.common.messages);
watchNotices(context);
window.addEventListener("hashchange", () => {
  if (LINK.test(location.hash)) {
    begin(); // a link that was opened in this very tab
  } else if (drawn instanceof Frame) {
    draw();
  }
});

await begin();
