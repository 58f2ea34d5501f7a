// The drawings of the console: lines on a 24 by 24 field, in the colour of the text beside them. Never alone without a
// label: they are hidden from who listens.

import { svg } from "./dom.js";

const LINES = {
  alert: ["M12 3.5 21.5 20h-19Z", "M12 10v4.5M12 17.2v.1"],
  away: ["M3 3l18 18", "M8.5 15.5a5 5 0 0 1 6.2-.7M5 12a10 10 0 0 1 4-2.6M13 9a10 10 0 0 1 6 3M2.5 8.5A15 15 0 0 1 7 5.8M11.5 4.9a15 15 0 0 1 10 3.6M12 19v.1"],
  bell: ["M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 1.5h-15Z", "M10 20.5a2.2 2.2 0 0 0 4 0"],
  camera: ["M3 7h13v10H3Z", "M16 10.5 21 8v8l-5-2.5"],
  check: ["M4.5 12.5 10 18 20 7"],
  close: ["M6 6l12 12M18 6 6 18"],
  clock: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z", "M12 7.5V12l3 2"],
  door: ["M6 3.5h12v17H6Z", "M12 3.5v17M14.5 12h.01"],
  download: ["M12 4v11M7.5 11 12 15.5 16.5 11M5 19.5h14"],
  eye: ["M2.5 12S6 6 12 6s9.5 6 9.5 6-3.5 6-9.5 6-9.5-6-9.5-6Z", "M12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6Z"],
  "eye-off": ["M4 4l16 16", "M9.5 6.4A9 9 0 0 1 12 6c6 0 9.5 6 9.5 6a17 17 0 0 1-2.9 3.5M6.5 7.7A16 16 0 0 0 2.5 12S6 18 12 18a9 9 0 0 0 4-1M10 10.2a2.8 2.8 0 0 0 3.8 3.9"],
  info: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z", "M12 11v5.5M12 7.7v.1"],
  key: ["M8 9.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9Z", "M11.2 10.8 19.5 3M16 6.3l2.5 2.7"],
  ledger: ["M6 3.5h12.5v17H6a1.5 1.5 0 0 1-1.5-1.5V5A1.5 1.5 0 0 1 6 3.5Z", "M8.5 8h6.5M8.5 12h6.5M8.5 16h4"],
  left: ["M14.5 5 8 12l6.5 7"],
  lock: ["M5.5 10.5h13v10h-13Z", "M8.5 10.5V8a3.5 3.5 0 0 1 7 0v2.5M12 14.5v2.5"],
  minus: ["M6 12h12"],
  motion: ["M13 5.2v.1M12.5 9 10 13l3.5 2.5V20M10 13l-2.5 6.5M12.5 9l-4 1.5-1 3M12.5 9l2 2.5 3 .5"],
  mute: ["M4 4l16 16", "M9 6.2A6 6 0 0 1 18 11v3.5M18 18H4.5L6 16.5V11c0-.7.1-1.3.3-1.9M10 20.5a2.2 2.2 0 0 0 4 0"],
  pause: ["M8.5 5v14M15.5 5v14"],
  play: ["M7.5 4.5v15L19.5 12Z"],
  plus: ["M6 12h12M12 6v12"],
  record: ["M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14Z", "M12 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3Z"],
  right: ["M9.5 5 16 12l-6.5 7"],
  scissors: ["M6.5 4.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5ZM6.5 14.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z", "M8.7 8.3 20 17M8.7 15.7 20 7"],
  send: ["M4 12 20.5 4 15 20.5l-3.5-7Z", "M11.5 13.5 20.5 4"],
  settings: ["M4 7h9M17 7h3M4 17h3M11 17h9", "M15 4.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4ZM9 14.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4Z"],
  shield: ["M12 3l8 3v6c0 4.5-3.2 7.6-8 9-4.8-1.4-8-4.5-8-9V6Z", "M8.5 12l2.5 2.5 4.5-4.8"],
  trash: ["M5 7h14M9.5 7V4.5h5V7M7 7l1 13h8l1-13M10.5 11v5.5M13.5 11v5.5"],
};

/** The drawing of a name, hidden from who listens. */
export function icon(name, { size = 20 } = {}) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true", focusable: "false" },
    LINES[name].map((d) => svg("path", { d })),
  );
}

/** The mark of the house: a door and its string. */
export function mark(size = 28) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true", focusable: "false" },
    svg("rect", { x: 3.5, y: 2.5, width: 17, height: 19, rx: 1.5 }),
    svg("path", { d: "M12 2.5v19M14.5 12h.01M12 12c-3 0-4 2-4 5" }),
  );
}
