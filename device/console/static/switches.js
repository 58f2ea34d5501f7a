// A switch with a line that says what it does.

import { h, uniqueId } from "./dom.js";

/** A row with a switch; `change(on)` hears of it. */
export function switchRow(label, hint, on, change) {
  const [name, what] = [uniqueId("switch"), uniqueId("what")];
  const button = h(
    "button",
    { type: "button", class: "switch", role: "switch", "aria-checked": String(on), "aria-labelledby": name, "aria-describedby": what },
    h("span", { id: name }, label),
    h("span", { class: "knob", "aria-hidden": "true" }),
  );
  button.addEventListener("click", () => {
    const now = button.getAttribute("aria-checked") !== "true";
    button.setAttribute("aria-checked", String(now));
    change(now);
  });
  return h("div", { class: "switch-row" }, button, h("p", { class: "hint", id: what }, hint));
}

/** Have a row show what holds now. */
export function setSwitch(row, on) {
  row.querySelector("[role=switch]").setAttribute("aria-checked", String(on));
}
