// Tells the console that somebody is there, when somebody is: by pointer, keys, or a clip that plays. Now and then only.

import { api } from "./api.js";

const EVERY_MS = 20_000;
const EVENTS = ["pointerdown", "keydown", "wheel", "touchmove"];

/** Watch; returns what stops it. */
export function watchActivity() {
  let told = performance.now();
  const here = () => {
    if (performance.now() - told > EVERY_MS) {
      told = performance.now();
      api("/api/awake", {}).catch(() => {}); // whatever is wrong, the next real call says
    }
  };
  const playing = (event) => { if (event.target instanceof HTMLVideoElement) { here(); } };
  EVENTS.forEach((name) => window.addEventListener(name, here, { passive: true }));
  window.addEventListener("timeupdate", playing, { capture: true });
  return () => {
    EVENTS.forEach((name) => window.removeEventListener(name, here));
    window.removeEventListener("timeupdate", playing, { capture: true });
  };
}
