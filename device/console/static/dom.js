// Elements are made here and nowhere else, by createElement and text nodes: an agency's words can never become markup.
// The page's policy forbids inline styles too; what must be set by script goes through `style: {property: value}`.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an HTML element.
 * @param {string} tag
 * @param {Object<string, any>} [attributes] `onclick: handler` listens, `class` takes a string or a list, `data` and
 *   `style` take objects; `true` writes an empty attribute; null, undefined and false leave it out. `value`, `checked`
 *   and the like are set as properties.
 * @param {...(Node|string|number|Array|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an SVG element; the same rules as for `h`. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Put children in the place of all that a node holds. Returns the node. */
export function replace(node, ...children) {
  node.replaceChildren(...flat(children));
  return node;
}

const PROPERTIES = new Set(["value", "checked", "indeterminate", "selected", "muted", "currentTime", "srcObject"]);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) {
      set(node, name, value);
    }
  }
  node.append(...flat(children));
  return node;
}

function set(node, name, value) {
  if (typeof value === "function") {
    node.addEventListener(name.slice(2), value);
  } else if (name === "class") {
    node.setAttribute("class", [value].flat().filter(Boolean).join(" "));
  } else if (name === "data") {
    Object.assign(node.dataset, value);
  } else if (name === "style") {
    Object.entries(value).forEach(([property, what]) => node.style.setProperty(property, String(what)));
  } else if (PROPERTIES.has(name)) {
    node[name] = value;
  } else {
    node.setAttribute(name, value === true ? "" : String(value));
  }
}

function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

let numbered = 0;

/** An id that no other element of this page has. */
export function uniqueId(prefix = "id") {
  numbered += 1;
  return `${prefix}-${numbered}`;
}

/** Move the focus to something that is not focusable by itself, such as a heading, without a jump of the page. */
export function focusOn(node) {
  if (!node.matches("a[href], button, input, select, textarea, summary, [tabindex]")) {
    node.setAttribute("tabindex", "-1");
  }
  node.focus({ preventScroll: true });
}

/** Tell whoever listens rather than looks. `urgent` interrupts what is being read. */
export function announce(text, { urgent = false } = {}) {
  const region = document.getElementById(urgent ? "said-at-once" : "said");
  if (region) {
    region.textContent = "";
    setTimeout(() => { region.textContent = text; }, 50); // the same text again is told again
  }
}

/** Run work while a button shows that it is busy and can't be pressed again. */
export async function busy(button, work) {
  if (button.getAttribute("aria-busy") === "true") {
    return undefined;
  }
  button.setAttribute("aria-busy", "true");
  button.setAttribute("aria-disabled", "true"); // not `disabled`: the focus would be lost
  try {
    return await work();
  } finally {
    button.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
  }
}
