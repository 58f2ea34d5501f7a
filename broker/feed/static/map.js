// Draws an area on the overview map with mouse, pen or finger, and writes it into the form. The form does the rest.
// On a small screen the form and the map are folded away first, unless they were used.

if (matchMedia("(max-width: 59.99rem)").matches) {
  for (const panel of document.querySelectorAll("details.panel:not([data-kept])")) {
    panel.open = false;
  }
}

const map = document.getElementById("overview");
const button = document.getElementById("draw");
const field = document.getElementById("area");
const said = document.getElementById("said");
const SVG = "http://www.w3.org/2000/svg";

const [south, west, north, east] = map.dataset.view.split(",").map(Number);
const [left, top_, width, height] = map.dataset.frame.split(",").map(Number);
const span = east > west ? east - west : east - west + 360;

const within = (value, low, high) => Math.min(high, Math.max(low, value));

/** The place in the drawing's own units that an event points at, inside the frame. */
function pointOf(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
  return { x: within(point.x, left, left + width), y: within(point.y, top_, top_ + height) };
}

function degrees(value) {
  return String(Number(value.toFixed(4)));
}

function longitude(x) {
  const lon = west + ((x - left) / width) * span;
  return lon > 180 ? lon - 360 : lon;
}

function latitude(y) {
  return within(north - ((y - top_) / height) * (north - south), -90, 90);
}

function areaOf(one, other) {
  const [x1, x2] = [Math.min(one.x, other.x), Math.max(one.x, other.x)];
  const [y1, y2] = [Math.min(one.y, other.y), Math.max(one.y, other.y)];
  return [latitude(y2), longitude(x1), latitude(y1), longitude(x2)].map(degrees).join(",");
}

let start = null;
let box = null;

function stop() {
  start = null;
  map.classList.remove("drawing");
  button.setAttribute("aria-pressed", "false");
}

function draw(point) {
  box.setAttribute("x", Math.min(start.x, point.x));
  box.setAttribute("y", Math.min(start.y, point.y));
  box.setAttribute("width", Math.abs(start.x - point.x));
  box.setAttribute("height", Math.abs(start.y - point.y));
}

button.hidden = false;
button.addEventListener("click", () => {
  const on = !map.classList.contains("drawing");
  stop();
  if (on) {
    map.classList.add("drawing");
    button.setAttribute("aria-pressed", "true");
    said.textContent = "Drag a rectangle over the map.";
  } else {
    said.textContent = "";
  }
});

map.addEventListener("click", (event) => {
  if (map.classList.contains("drawing")) {
    event.preventDefault();
  }
});

map.addEventListener("pointerdown", (event) => {
  if (!map.classList.contains("drawing")) {
    return;
  }
  event.preventDefault();
  map.setPointerCapture(event.pointerId);
  start = pointOf(event);
  if (box === null) {
    box = document.createElementNS(SVG, "rect");
    box.setAttribute("class", "chosen");
    map.append(box);
  }
  draw(start);
});

map.addEventListener("pointermove", (event) => {
  if (start !== null) {
    draw(pointOf(event));
  }
});

map.addEventListener("pointercancel", stop);

map.addEventListener("pointerup", (event) => {
  if (start === null) {
    return;
  }
  const end = pointOf(event);
  const large = Math.abs(end.x - start.x) > 4 && Math.abs(end.y - start.y) > 4;
  const area = areaOf(start, end);
  if (large) {
    field.value = area;
    said.textContent = `Area ${area}. Now show its requests.`;
    setTimeout(stop); // after the click that follows, which must not open a cell
    field.form.querySelector("button[type=submit]").focus({ preventScroll: true });
  } else {
    start = null;
  }
});
