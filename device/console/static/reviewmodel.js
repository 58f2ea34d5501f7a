// What the owner chooses of one device's clips, and what follows from it: what is sealed, what is derived, what is too
// much. Values in, values out; nothing here knows a page.
//
// A part is what is taken of one clip: {clip, chosen, exact, from_us, until_us, hide_faces, regions}. Its ends lie on the
// clip's cuts, where the camera's seal can be cut, unless `exact` or a step of one picture puts them elsewhere.

import { regionFromWire, wireRegion } from "./boxmodel.js";

const lastUpTo = (cuts, at) => cuts.findLast((cut) => cut <= at);
const firstFrom = (cuts, at) => cuts.find((cut) => cut >= at);

/** The cut nearest to an instant. */
function snapped(cuts, atUs) {
  return cuts.reduce((best, cut) => (Math.abs(cut - atUs) < Math.abs(best - atUs) ? cut : best));
}

/** The cuts around a range, and no more between them than a share may hold; there is always something between them. */
function around(cuts, { from_us: begin, until_us: end }, limits) {
  const from = lastUpTo(cuts.slice(0, -1), begin) ?? cuts[0];
  const until = firstFrom(cuts, Math.max(end, from + 1)) ?? cuts.at(-1);
  return { from_us: from, until_us: lastUpTo(cuts, Math.min(until, from + limits.clip_us)) };
}

/** What is asked of a clip, out to the cuts around it; where that is more than a share may hold, its first part. */
export const askedRange = (clip, limits) => around(clip.cuts, clip.overlap, limits);

/** A clip's part before the owner touched it: what was asked, and not yet chosen. */
export function startingPart(clip, limits) {
  return { clip: clip.clip, chosen: false, exact: false, ...askedRange(clip, limits), hide_faces: false, regions: [] };
}

/** Whether all of the clip that lies in the asked window is in its part. */
export function coversAsked(part, clip) {
  return part.from_us <= clip.overlap.from_us && part.until_us >= clip.overlap.until_us;
}

/** How far an end (`from_us` or `until_us`) may go, between pictures; it stays before or after the other end. */
export function reach(part, clip, end, limits) {
  if (end === "from_us") {
    return { least: Math.max(clip.start_us, part.until_us - limits.clip_us), most: part.until_us - clip.frame_us };
  }
  return { least: part.from_us + clip.frame_us, most: Math.min(clip.end_us, part.from_us + limits.clip_us) };
}

/** The part with an end put at an instant, or at the cut nearest to it. */
export function withEnd(part, clip, end, atUs, { exact, limits }) {
  const { least, most } = reach(part, clip, end, limits);
  if (exact) return { ...part, [end]: Math.min(Math.max(Math.round(atUs), least), most) };
  const cuts = clip.cuts.filter((cut) => least <= cut && cut <= most);
  return cuts.length === 0 ? part : { ...part, [end]: snapped(cuts, atUs) };
}

/** The part with an end a number of cuts on, or of pictures. */
export function stepped(part, clip, end, steps, { fine, limits }) {
  const at = part[end];
  if (fine) return withEnd(part, clip, end, at + steps * clip.frame_us, { exact: true, limits });
  const ahead = steps > 0 ? clip.cuts.filter((cut) => cut > at) : clip.cuts.filter((cut) => cut < at).reverse();
  const target = ahead[Math.min(Math.abs(steps), ahead.length) - 1] ?? at;
  const { least, most } = reach(part, clip, end, limits);
  return target < least || target > most ? part : { ...part, [end]: target };
}

/** The part with its ends on cuts again: outwards, so that nothing chosen is lost, unless that is too long. */
export const resealed = (part, clip, limits) => ({ ...part, exact: false, ...around(clip.cuts, part, limits) });

/** The part's regions as they are sent, without what lies outside of it. */
function sentRegions(part) {
  return part.regions.map((region) => wireRegion(region, part)).filter((region) => region !== null);
}

/** Why a part must be re-encoded, any of "cut", "faces", "boxes"; empty if it leaves sealed as filmed. */
export function derivedBy(part, clip) {
  const onCuts = clip.cuts.includes(part.from_us) && clip.cuts.includes(part.until_us);
  return [
    ...(onCuts ? [] : ["cut"]),
    ...(part.hide_faces ? ["faces"] : []),
    ...(sentRegions(part).length > 0 ? ["boxes"] : []),
  ];
}

const chosenParts = (parts) => parts.filter((part) => part.chosen);

/** The doorbell's times that lie in what is chosen. */
export function ringsWithin(rings, parts) {
  return rings.filter((at) => chosenParts(parts).some((part) => part.from_us <= at && at < part.until_us));
}

/** What is chosen, in sum. */
export function totals(parts, clips) {
  const chosen = chosenParts(parts);
  const derived = chosen.filter((part) => derivedBy(part, clips.find(({ clip }) => clip === part.clip)).length > 0);
  return {
    clips: chosen.length,
    length_us: chosen.reduce((sum, part) => sum + part.until_us - part.from_us, 0),
    sealed: chosen.length - derived.length,
    derived: derived.length,
  };
}

/** What keeps the choice from being built: "none", "many", or null. */
export function problem(parts, limits) {
  const { length } = chosenParts(parts);
  if (length === 0) return "none";
  return length > limits.clips ? "many" : null;
}

/** The choice as the server takes it. */
export function wireChoice(parts, rings) {
  const clips = chosenParts(parts).map((part) => ({
    clip: part.clip,
    from_us: part.from_us,
    until_us: part.until_us,
    hide_faces: part.hide_faces,
    regions: sentRegions(part),
  }));
  return { clips, rings };
}

/** The parts that a draft begins with: what was kept here, else what the server was last told, else what is asked. */
export function partsOf(draft, kept) {
  return draft.clips.filter(({ gone }) => !gone).map((clip) => {
    const own = kept?.find((part) => part.clip === clip.clip && isWithin(part, clip, draft.limits));
    const told = draft.choice?.clips.find((part) => part.clip === clip.clip);
    return own ?? (told ? partFromWire(told, clip) : startingPart(clip, draft.limits));
  });
}

function isWithin(part, clip, limits) {
  return part.from_us >= clip.start_us && part.until_us <= clip.end_us && part.from_us < part.until_us
    && part.until_us - part.from_us <= limits.clip_us;
}

function partFromWire(told, clip) {
  const onCuts = clip.cuts.includes(told.from_us) && clip.cuts.includes(told.until_us);
  return { ...told, chosen: true, exact: !onCuts, regions: told.regions.map((region) => regionFromWire(region, told)) };
}
