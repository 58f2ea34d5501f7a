// Boxes over time, as the owner draws them. Values in, values out; nothing here knows a page.
//
// A region is {keys: [{at_us, x, y, width, height}], from_us, until_us}, sizes in fractions of the picture. Its box
// moves in straight lines between its keys and stands still before the first and after the last; from_us and until_us
// bound when it is there, null meaning as far as the part goes. So a box never ends where its owner merely moved it.
// Times are whole microseconds, whatever a pointer says: the server takes no other.

const LEAST = 0.02;

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/** The box inside the picture, and not too small to be seen or held. */
export function fitted({ x, y, width, height }) {
  const [wide, high] = [clamp(width, LEAST, 1), clamp(height, LEAST, 1)];
  return { x: clamp(x, 0, 1 - wide), y: clamp(y, 0, 1 - high), width: wide, height: high };
}

/** The box between two corners, in whatever order they were drawn. */
export function between(one, other) {
  const [left, right] = [one.x, other.x].map((at) => clamp(at, 0, 1)).sort((a, b) => a - b);
  const [top, bottom] = [one.y, other.y].map((at) => clamp(at, 0, 1)).sort((a, b) => a - b);
  return fitted({ x: left, y: top, width: right - left, height: bottom - top });
}

export const moved = (box, dx, dy) => fitted({ ...box, x: box.x + dx, y: box.y + dy });

/** The box larger or smaller, its upper left corner held. */
export function resized(box, dx, dy) {
  const width = clamp(box.width + dx, LEAST, 1 - box.x);
  const height = clamp(box.height + dy, LEAST, 1 - box.y);
  return fitted({ ...box, width, height });
}

export function newRegion(atUs, box) {
  return { keys: [{ at_us: Math.round(atUs), ...fitted(box) }], from_us: null, until_us: null };
}

/** Where the box stands at an instant, whether or not it is there then. */
function standing(region, atUs) {
  const { keys } = region;
  const next = keys.findIndex((key) => key.at_us > atUs);
  const [before, after] = next === -1 ? [keys.at(-1), keys.at(-1)] : [keys[Math.max(next - 1, 0)], keys[next]];
  const share = after.at_us > before.at_us ? clamp((atUs - before.at_us) / (after.at_us - before.at_us), 0, 1) : 0;
  const mixed = (name) => before[name] + (after[name] - before[name]) * share;
  return { x: mixed("x"), y: mixed("y"), width: mixed("width"), height: mixed("height") };
}

/** The box at an instant, or null when it is not there. */
export function boxAt(region, atUs) {
  const there = (region.from_us ?? -Infinity) <= atUs && atUs <= (region.until_us ?? Infinity);
  return there ? standing(region, atUs) : null;
}

/** The region with its box put somewhere at an instant; a key closer than half a picture is replaced. */
export function withKey(region, atUs, box, frameUs) {
  const at = Math.round(atUs);
  const others = region.keys.filter((key) => Math.abs(key.at_us - at) >= frameUs / 2);
  const keys = [...others, { at_us: at, ...fitted(box) }].sort((a, b) => a.at_us - b.at_us);
  return { ...region, keys };
}

/** The region without one of its keys; the last one stays. */
export function withoutKey(region, atUs) {
  return region.keys.length === 1 ? region : { ...region, keys: region.keys.filter((key) => key.at_us !== atUs) };
}

/** The region bounded at one end (`from_us` or `until_us`); the other end gives way where the two would cross. */
export function bounded(region, end, atUs) {
  const other = end === "from_us" ? "until_us" : "from_us";
  const crossed = end === "from_us" ? region.until_us !== null && atUs >= region.until_us
    : region.from_us !== null && atUs <= region.from_us;
  return { ...region, [end]: Math.round(atUs), [other]: crossed ? null : region[other] };
}

/** The region as the server takes it, for the part of the clip that is sent; null where none of it lies in there. */
export function wireRegion(region, part) {
  const from = Math.max(part.from_us, region.from_us ?? part.from_us);
  const until = Math.min(part.until_us, region.until_us ?? part.until_us);
  if (from >= until) return null;
  const key = (at) => ({ at_us: at, ...standing(region, at) });
  if (region.keys.length === 1 && from === part.from_us && until === part.until_us) {
    return { keys: [key(clamp(region.keys[0].at_us, from, until))] };
  }
  const inside = region.keys.filter((one) => from < one.at_us && one.at_us < until);
  return { keys: [key(from), ...inside, key(until)] };
}

/** The region that the server has of a part, as it is edited here. */
export function regionFromWire({ keys }, part) {
  const always = keys.length === 1;
  const [first, last] = [keys[0].at_us, keys.at(-1).at_us];
  return {
    keys,
    from_us: always || first <= part.from_us ? null : first,
    until_us: always || last >= part.until_us ? null : last,
  };
}
