// The rules, checked as one types, and the area as it is drawn. The server checks all of it again; nothing is sent
// before the form is. Times are microseconds since the epoch, as everywhere else in this project.

const MINUTE_US = 60e6;
const DAY_US = 86_400e6;

/** How far a zone's clock is ahead of UTC at an instant, in ms; throws RangeError for a zone that is none. */
function offsetMs(zone, atMs) {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone, hourCycle: "h23", era: "short",
    year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
  });
  const part = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, value]));
  const year = part.era === "BC" ? 1 - Number(part.year) : Number(part.year);
  const shown = new Date(0);
  shown.setUTCFullYear(year, part.month - 1, part.day);
  shown.setUTCHours(part.hour, part.minute, part.second);
  return shown.getTime() - Math.floor(atMs / 1000) * 1000;
}

/** The instant of a wall clock's time in a zone, in µs; null where it is no time, or the clock showed it twice or never. */
export function instantUs(local, zone) {
  const asUtc = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?$/.test(local) ? Date.parse(`${local}Z`) : NaN;
  if (Number.isNaN(asUtc)) return null;
  try {
    const offsets = new Set([offsetMs(zone, asUtc - 86_400_000), offsetMs(zone, asUtc + 86_400_000)]);
    const found = [...offsets].map((offset) => asUtc - offset).filter((at) => at + offsetMs(zone, at) === asUtc);
    return found.length === 1 ? found[0] * 1000 : null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Latitude and longitude of a text such as `52.52N 13.405E` or `52.52, 13.405`; null if it is none. */
export function place(text) {
  const degrees = String.raw`([+-]?)(\d{1,3}(?:\.\d{1,12})?)\s*°?\s*([NSEW]?)`;
  const found = new RegExp(`^${degrees}(?:\\s*[,;]\\s*|\\s+)${degrees}$`, "i").exec(text.trim());
  if (!found) return null;
  const [one, other] = [found.slice(1, 4), found.slice(4, 7)].map(([sign, number, letter]) => ({
    letter: letter.toUpperCase(), both: sign !== "" && letter !== "",
    value: Number(number) * (sign === "-" || "SW".includes(letter.toUpperCase() || "-") ? -1 : 1),
  }));
  const isNorthSouth = (axis) => "NS".includes(axis.letter);
  if (one.both || other.both || (one.letter === "") !== (other.letter === "")) return null;
  if (one.letter !== "" && isNorthSouth(one) === isNorthSouth(other)) return null;
  const [lat, lon] = one.letter !== "" && !isNorthSouth(one) ? [other.value, one.value] : [one.value, other.value];
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? [lat, lon] : null;
}

/**
 * Every rule that can be judged here, with what the request says to it, whether that is kept (null: not filled in), and
 * what to do. Posts of a case and open requests are the log's to count.
 */
export function judge(values, facts, nowUs) {
  const start = instantUs(values.start, values.zone);
  const end = instantUs(values.end, values.zone);
  const radius = /^\d{1,6}$/.test(values.radius_m) ? Number(values.radius_m) : null;
  const retention = /^\d{1,6}$/.test(values.retention_days) ? Number(values.retention_days) : null;
  const open = values.expires_in_days === "" ? NaN : Number(values.expires_in_days);
  const domain = Object.hasOwn(facts.domains, values.agency) ? facts.domains[values.agency] : null;
  const contact = values.contact || (domain === null ? "" : facts.contacts[values.agency]);
  const missing = facts.excludes.filter((code) => !values.excludes.includes(code));
  const untimed = "Give both times and their zone; where clocks were changed, an hour may be missing or come twice";
  const row = (rule, value, kept, message) => ({ rule, value, kept, message: kept === false ? message : "" });
  const blank = values.start === "" || values.end === "";
  const timed = start !== null && end !== null;
  const windowUs = end - start;
  const areaM2 = Math.PI * radius * radius;
  const inDomain = (host) => host === domain || host.endsWith(`.${domain}`);
  const judged = (ready, kept) => (ready ? kept : null);
  return [
    row("window", timed ? `${windowUs / MINUTE_US} minutes` : "",
      blank ? null : timed && facts.windowMinUs <= windowUs && windowUs <= facts.windowMaxUs,
      timed ? "15 minutes to 12 hours" : untimed),
    row("window-past", timed ? `ends ${new Date(end / 1000).toISOString().slice(0, 16).replace("T", " ")} UTC` : "",
      judged(timed, end <= nowUs), "The window must lie in the past"),
    row("look-back", timed ? `begins ${((nowUs - start) / DAY_US).toFixed(1)} days back` : "",
      judged(timed, nowUs - start <= facts.lookBackMaxUs), `At most ${facts.lookBackMaxUs / DAY_US} days back`),
    row("area", radius === null ? "" : `radius ${radius} m, ${squareMiles(areaM2)} sq mi`,
      judged(radius !== null, facts.areaMinM2 <= areaM2 && areaM2 <= facts.areaMaxM2), "0.025 to 0.5 square miles"),
    row("contact", contact, judged(contact !== "" && domain !== null, inDomain(contact.split("@").slice(1).join("@"))),
      `An address in ${domain}`),
    row("retention", retention === null ? "" : `${retention} days`,
      judged(retention !== null, 1 <= retention && retention <= facts.retentionMaxDays),
      `1 to ${facts.retentionMaxDays} days`),
    row("excludes", `${facts.excludes.length - missing.length} of ${facts.excludes.length} declared`,
      missing.length === 0 ? true : judged(values.excludes.length > 0, false), "Each has to be declared"),
    row("devices", values.devices.join(", "), values.devices.length > 0, "Choose one at least"),
    row("expires", Number.isNaN(open) ? "" : `open for ${open} days`,
      judged(!Number.isNaN(open), open > 0 && Math.round(open * DAY_US) <= facts.openMaxUs),
      `At most ${facts.openMaxUs / DAY_US} days`),
  ];
}

function squareMiles(areaM2) {
  return (areaM2 / 2_589_988.110336).toPrecision(3);
}

function valuesOf(form) {
  const data = new FormData(form);
  const texts = Object.fromEntries([...data].filter(([, value]) => typeof value === "string"));
  const trimmed = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, text.trim()]));
  return { ...trimmed, devices: data.getAll("devices"), excludes: data.getAll("excludes") };
}

function cell(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function showRules(table, summary, rows) {
  const body = table.tBodies[0];
  body.replaceChildren(...rows.map(({ rule, value, kept, message }) => {
    const line = document.createElement("tr");
    line.dataset.rule = rule;
    line.className = kept === null ? "open" : kept ? "kept" : "broken";
    const head = cell("th", rule);
    head.scope = "row";
    line.append(head, cell("td", value), cell("td", kept === null ? "to fill in" : kept ? "kept" : message));
    return line;
  }));
  const broken = rows.filter(({ kept }) => kept === false).length;
  const left = rows.filter(({ kept }) => kept === null).length;
  const said = broken ? `${broken} broken` : left ? `None broken, ${left} to fill in` : "All are kept so far; check to be sure";
  if (summary.textContent !== said) summary.textContent = said; // a reader hears it only when it changes
}

function draw(svg, words, values) {
  const radius = /^\d{1,6}$/.test(values.radius_m) ? Number(values.radius_m) : 0;
  const shown = Math.min(radius * Number(svg.dataset.perMetre), 150 * Math.SQRT2);
  svg.querySelector(".area").setAttribute("r", shown.toFixed(1));
  const middle = place(values.at);
  const side = (value, [plus, minus]) => `${Math.abs(value).toFixed(5)}° ${value < 0 ? minus : plus}`;
  const where = middle === null ? "the middle" : `${side(middle[0], "NS")}, ${side(middle[1], "EW")}`;
  const areaM2 = Math.PI * radius * radius;
  const size = `${(areaM2 / 1e6).toPrecision(3)} km² (${squareMiles(areaM2)} sq mi)`;
  words.textContent = radius ? `${radius.toLocaleString("en")} m around ${where}: ${size}` : "No radius yet";
}

function joinSlider(number, slider) {
  slider.hidden = false;
  slider.addEventListener("input", () => { // before the form hears of it
    number.value = slider.value;
  });
  number.addEventListener("input", () => {
    slider.value = number.value;
  });
}

function addCopyButtons() {
  if (!navigator.clipboard) return; // only pages from this machine or over https may use it
  for (const block of document.querySelectorAll("pre[id]")) {
    const button = cell("button", "Copy");
    button.type = "button";
    button.className = "copy";
    button.setAttribute("aria-label", `Copy: ${block.getAttribute("aria-label")}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = "Copied";
    });
    block.before(button);
  }
}

function start(form) {
  const facts = JSON.parse(form.dataset.facts);
  if (facts.fresh) form.elements.zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const changed = () => {
    const values = valuesOf(form);
    draw(form.querySelector("svg.circle"), document.getElementById("drawing-words"), values);
    const rows = judge(values, facts, Date.now() * 1000);
    showRules(document.getElementById("live"), document.getElementById("summary"), rows);
  };
  form.addEventListener("input", changed);
  joinSlider(form.elements.radius_m, document.getElementById("radius-slider"));
  addCopyButtons();
  document.getElementById("standing").hidden = false;
  changed();
}

const form = document.getElementById("ask");
if (form) start(form);
