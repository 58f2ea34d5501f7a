// The owner's choice without a page. Run by test_review_model.py, which says where the modules lie.
import assert from "node:assert/strict";
import { test } from "node:test";

const from = (name) => import(new URL(name, process.env.MODULES).href);
const boxes = await from("boxmodel.js");
const model = await from("reviewmodel.js");

const S = 1_000_000;
const T = 1_790_000_000 * S; // a time of these days: its microseconds must stay exact
const FRAME = 66_667;
const limits = { clips: 10, clip_us: 60 * S };
const AT = { x: 0.1, y: 0.2, width: 0.3, height: 0.4 };

/** A clip with a cut each second, asked for from one second to another. */
function clip(seconds, from_s, until_s, name = "a") {
  const cuts = Array.from({ length: seconds + 1 }, (_, at) => T + at * S);
  const overlap = { from_us: T + from_s * S, until_us: T + until_s * S };
  return { clip: name, start_us: T, end_us: T + seconds * S, cuts, frame_us: FRAME, overlap };
}

const chosen = (one, changes = {}) => ({ ...model.startingPart(one, limits), chosen: true, ...changes });
const seconds = (part) => [(part.from_us - T) / S, (part.until_us - T) / S];
const near = (box, other) => Object.keys(other).forEach((side) => assert.ok(Math.abs(box[side] - other[side]) < 1e-9, side));

test("a part begins as what was asked, out to the cuts around it, not yet chosen, and sealed", () => {
  const one = clip(42, 3.4, 20.2);
  const part = model.startingPart(one, limits);
  assert.deepEqual(seconds(part), [3, 21]);
  assert.equal(part.chosen, false);
  assert.deepEqual(model.derivedBy(part, one), []);
  assert.ok(model.coversAsked(part, one));
});

test("of more than a share may hold, a part begins as the first sixty seconds", () => {
  const one = clip(130, 2.5, 120);
  const part = model.startingPart(one, limits);
  assert.deepEqual(seconds(part), [2, 62]);
  assert.ok(!model.coversAsked(part, one));
});

test("a clip that was asked for at its very edge, or only nearly, still has a part", () => {
  assert.deepEqual(seconds(model.startingPart(clip(42, 42, 42), limits)), [41, 42]);
  assert.deepEqual(seconds(model.startingPart(clip(42, 44, 42), limits)), [41, 42]);
  assert.deepEqual(seconds(model.startingPart(clip(42, 0, 0), limits)), [0, 1]);
  assert.deepEqual(seconds(model.startingPart(clip(42, 7, 7), limits)), [7, 8]);
});

test("a part's end that is moved comes to lie on the nearest cut", () => {
  const one = clip(42, 3, 20);
  const part = model.withEnd(chosen(one), one, "until_us", T + 10.6 * S, { exact: false, limits });
  assert.deepEqual(seconds(part), [3, 11]);
  assert.deepEqual(model.derivedBy(part, one), []);
});

test("a part that is cut exactly is derived, and whole microseconds", () => {
  const one = clip(42, 3, 20);
  const part = model.withEnd(chosen(one), one, "from_us", T + 4.25 * S + 0.25, { exact: true, limits });
  assert.equal(part.from_us, T + 4.25 * S);
  assert.deepEqual(model.derivedBy(part, one), ["cut"]);
});

test("the ends keep an order, a picture, and the longest that may be shared between them", () => {
  const one = clip(130, 10, 20);
  const move = (part, end, at_s, exact) => model.withEnd(part, one, end, T + at_s * S, { exact, limits });
  assert.deepEqual(seconds(move(chosen(one), "from_us", 50, false)), [19, 20]);
  assert.equal(move(chosen(one), "from_us", 50, true).from_us, T + 20 * S - FRAME);
  assert.deepEqual(seconds(move(chosen(one), "until_us", 128, false)), [10, 70]);
  assert.deepEqual(seconds(move(chosen(one), "until_us", 128, true)), [10, 70]);
  assert.deepEqual(seconds(move(chosen(one), "from_us", -5, true)), [0, 20]);
});

test("a step goes to the next cut, a fine one to the next picture, and neither past the end", () => {
  const one = clip(42, 3, 20);
  const step = (part, end, steps, fine) => model.stepped(part, one, end, steps, { fine, limits });
  assert.deepEqual(seconds(step(chosen(one), "from_us", 1, false)), [4, 20]);
  assert.deepEqual(seconds(step(chosen(one), "from_us", -1, false)), [2, 20]);
  assert.deepEqual(seconds(step(chosen(one), "until_us", 5, false)), [3, 25]);
  assert.equal(step(chosen(one), "from_us", 1, true).from_us, T + 3 * S + FRAME);
  assert.deepEqual(seconds(step(chosen(one, { from_us: T }), "from_us", -1, false)), [0, 20]);
  const between = chosen(one, { from_us: T + 3.5 * S });
  assert.deepEqual(seconds(step(between, "from_us", 1, false)), [4, 20]);
  assert.deepEqual(seconds(step(between, "from_us", -1, false)), [3, 20]);
});

test("back on the seal a part reaches outwards, and no further than a share", () => {
  const one = clip(130, 10, 20);
  const off = chosen(one, { exact: true, from_us: T + 10.5 * S, until_us: T + 19.5 * S });
  assert.deepEqual(seconds(model.resealed(off, one, limits)), [10, 20]);
  const long = chosen(one, { exact: true, from_us: T + 10.5 * S, until_us: T + 70.5 * S });
  assert.deepEqual(seconds(model.resealed(long, one, limits)), [10, 70]);
  assert.equal(model.resealed(off, one, limits).exact, false);
});

test("hidden faces and boxes make a part derived, a box outside of it does not", () => {
  const one = clip(42, 3, 20);
  const box = boxes.newRegion(T + 5 * S, AT);
  assert.deepEqual(model.derivedBy(chosen(one, { hide_faces: true, regions: [box] }), one), ["faces", "boxes"]);
  const after = { ...box, from_us: T + 30 * S };
  assert.deepEqual(model.derivedBy(chosen(one, { regions: [after] }), one), []);
});

test("only rings within what is chosen count", () => {
  const one = clip(42, 3, 20);
  const rings = [T + 2 * S, T + 3 * S, T + 19 * S, T + 20 * S];
  assert.deepEqual(model.ringsWithin(rings, [chosen(one)]), [T + 3 * S, T + 19 * S]);
  assert.deepEqual(model.ringsWithin(rings, [chosen(one, { chosen: false })]), []);
});

test("nothing, and more than a share may hold, can't be built", () => {
  const one = clip(42, 3, 20);
  assert.equal(model.problem([chosen(one, { chosen: false })], limits), "none");
  assert.equal(model.problem(Array(10).fill(chosen(one)), limits), null);
  assert.equal(model.problem(Array(11).fill(chosen(one)), limits), "many");
});

test("the sum counts what is chosen, sealed and derived", () => {
  const clips = [clip(42, 3, 20, "a"), clip(42, 0, 10, "b"), clip(42, 0, 5, "c")];
  const parts = [chosen(clips[0]), chosen(clips[1], { hide_faces: true }), chosen(clips[2], { chosen: false })];
  assert.deepEqual(model.totals(parts, clips), { clips: 2, length_us: 27 * S, sealed: 1, derived: 1 });
});

test("the choice that is sent holds what is chosen, and comes back as the same parts", () => {
  const clips = [clip(42, 3, 20, "a"), clip(42, 0, 10, "b")];
  const region = { ...boxes.withKey(boxes.newRegion(T + 5 * S, AT), T + 7 * S, { ...AT, x: 0.5 }, FRAME), until_us: T + 9 * S };
  const parts = [chosen(clips[0], { hide_faces: true, regions: [region] }), chosen(clips[1], { chosen: false })];
  const choice = model.wireChoice(parts, true);
  assert.equal(choice.rings, true);
  assert.deepEqual(choice.clips.map((one) => Object.keys(one)), [["clip", "from_us", "until_us", "hide_faces", "regions"]]);
  const again = model.partsOf({ clips, limits, choice }, null);
  assert.deepEqual(again.map((part) => part.chosen), [true, false]);
  assert.equal(again[0].regions[0].until_us, T + 9 * S);
  assert.deepEqual(model.wireChoice(again, true), choice);
});

test("what was kept counts before what the server was told, unless it no longer fits the clip", () => {
  const clips = [clip(42, 3, 20)];
  const kept = [chosen(clips[0], { from_us: T + 8 * S })];
  const choice = model.wireChoice([chosen(clips[0])], false);
  assert.deepEqual(seconds(model.partsOf({ clips, limits, choice }, kept)[0]), [8, 20]);
  const outside = [chosen(clips[0], { until_us: T + 99 * S })];
  assert.deepEqual(seconds(model.partsOf({ clips, limits, choice: null }, outside)[0]), [3, 20]);
});

test("a clip that is gone has no part", () => {
  const clips = [{ clip: "b", gone: "it had to make room" }, clip(42, 3, 20)];
  assert.deepEqual(model.partsOf({ clips, limits, choice: null }, null).map((part) => part.clip), ["a"]);
});

test("a box moves in a straight line between its keys and stands still outside of them", () => {
  const region = boxes.withKey(boxes.newRegion(T, AT), T + 2 * S, { x: 0.5, y: 0.2, width: 0.1, height: 0.4 }, FRAME);
  near(boxes.boxAt(region, T + S), { x: 0.3, y: 0.2, width: 0.2, height: 0.4 });
  near(boxes.boxAt(region, T - 9 * S), AT);
  near(boxes.boxAt(region, T + 9 * S), { x: 0.5, width: 0.1 });
});

test("a bounded box is not there outside of its time, and its ends can't cross", () => {
  const region = boxes.bounded(boxes.bounded(boxes.newRegion(T + 5 * S, AT), "from_us", T + 4 * S), "until_us", T + 6 * S);
  assert.equal(boxes.boxAt(region, T + 3.9 * S), null);
  near(boxes.boxAt(region, T + 4 * S), AT);
  assert.equal(boxes.boxAt(region, T + 6.1 * S), null);
  assert.equal(boxes.bounded(region, "from_us", T + 7 * S).until_us, null);
});

test("a key on the same picture is replaced, and the last one can't be taken away", () => {
  const region = boxes.withKey(boxes.newRegion(T, AT), T + FRAME / 3, { ...AT, x: 0.6 }, FRAME);
  assert.equal(region.keys.length, 1);
  assert.equal(region.keys[0].x, 0.6);
  assert.deepEqual(boxes.withoutKey(region, region.keys[0].at_us), region);
  const two = boxes.withKey(region, T + S, AT, FRAME);
  assert.deepEqual(boxes.withoutKey(two, T + S).keys, region.keys);
});

test("one box for the whole part is sent as one key, any other with a key at each end", () => {
  const part = { from_us: T + 3 * S, until_us: T + 20 * S };
  const still = boxes.newRegion(T + S, AT);
  assert.deepEqual(boxes.wireRegion(still, part).keys.map((key) => key.at_us), [T + 3 * S]);
  const following = boxes.withKey(boxes.newRegion(T + 5 * S, AT), T + 7 * S, { ...AT, x: 0.5 }, FRAME);
  const { keys } = boxes.wireRegion(following, part);
  assert.deepEqual(keys.map((key) => (key.at_us - T) / S), [3, 5, 7, 20]);
  near(keys[0], AT);
  near(keys[3], { x: 0.5 });
  assert.equal(boxes.wireRegion({ ...still, until_us: T + 3 * S }, part), null);
});

test("a box cut by the part's start is sent as it stands there", () => {
  const region = boxes.withKey(boxes.newRegion(T, AT), T + 10 * S, { ...AT, x: 0.6 }, FRAME);
  const [first] = boxes.wireRegion(region, { from_us: T + 5 * S, until_us: T + 8 * S }).keys;
  near(first, { x: 0.35 });
});

test("a box stays within the picture and large enough to hold, however it is drawn, moved or resized", () => {
  near(boxes.between({ x: 1.4, y: 0.9 }, { x: 0.7, y: 0.5 }), { x: 0.7, y: 0.5, width: 0.3, height: 0.4 });
  near(boxes.between({ x: 0.999, y: 0.5 }, { x: 0.999, y: 0.5 }), { x: 0.98, width: 0.02, height: 0.02 });
  near(boxes.moved(AT, 2, -2), { x: 0.7, y: 0, width: 0.3, height: 0.4 });
  near(boxes.resized(AT, 5, -5), { x: 0.1, y: 0.2, width: 0.9, height: 0.02 });
});
