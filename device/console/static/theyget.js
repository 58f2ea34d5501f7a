// "This is what they get": the files of the bundle as it lies sealed, where each of their bytes comes from, and what they
// tell and do not tell. The clips are played out of the bundle itself.

import { api } from "./api.js";
import { decideRow } from "./decide.js";
import { h, replace, svg } from "./dom.js";
import { clockSeconds, date, moment, size } from "./format.js";
import { keepFresh } from "./freshvideo.js";
import { icon } from "./icons.js";
import { switchRow } from "./switches.js";
import { texts } from "./texts.js";

const t = texts.theyget;

/** Show the bundle that lies ready; returns what closes it. */
export function showWhatTheyGet(body, answer) {
  const { bundle } = answer.draft;
  const clips = bundle.clips.map((clip, at) => shownClip(clip, at + 1, answer));
  body.append(
    h("p", { class: "text" }, t.look),
    h("ol", { class: "plain got-clips", "aria-label": texts.review.clips }, clips.map(({ element }) => element)),
    h("div", { class: "got-words" }, whoGets(answer), told(t.tells, bundle.reveals, "eye"), told(t.withholds, bundle.withholds, "eye-off")),
    files(bundle),
    h("section", { class: "panel got-decide", "aria-labelledby": "decide-title" }, h("h2", { id: "decide-title" }, texts.decide.title), decideRow(answer, () => clips.filter(({ isSeen }) => !isSeen()).map(({ name }) => name))),
  );
  return { close: () => clips.forEach(({ close }) => close()) };
}

function shownClip(clip, n, answer) {
  const when = moment(clip.start_us);
  // A browser opens few connections to one host: only the first film is fetched before it is played.
  const video = h("video", { src: clip.url, controls: true, muted: true, playsinline: true, preload: n === 1 ? "auto" : "metadata", controlslist: "nodownload noremoteplayback", disablepictureinpicture: true, "aria-label": t.video(n, when) });
  const outline = svg("svg", { class: "got-faces", viewBox: `0 0 ${clip.width} ${clip.height}`, "aria-hidden": "true", hidden: true });
  const at = () => clip.start_us + Math.round(video.currentTime * 1e6);
  const missed = h("button", { type: "button", class: "small", onclick: () => answer.choose({ clip: answer.draft.choice.clips[n - 1].clip, at_us: at() }) }, t.missed);
  keepFresh(video, async () => (await api(`/api/drafts/${answer.draft.draft}`, undefined, { unattended: true })).bundle.clips[n - 1].url);
  const faces = clip.faces && facesOf(clip, video, outline, at);
  const element = h(
    "li",
    { class: "card got-clip" },
    h("div", { class: "stage", style: { "aspect-ratio": `${clip.width} / ${clip.height}` } }, video, outline),
    h(
      "div",
      { class: "got-facts" },
      h("h2", {}, t.clip(n)),
      h("p", { class: "numbers" }, `${date(clip.start_us)}, ${clockSeconds(clip.start_us)} to ${clockSeconds(clip.end_us)}`),
      h("p", { class: "quiet numbers" }, t.facts(clip)),
      origin(clip),
      faces?.element,
      missed,
    ),
  );
  return {
    element,
    name: t.clip(n),
    isSeen: () => share(video) > 0.9,
    close() {
      faces?.close();
      video.pause();
      video.removeAttribute("src");
      video.load();
    },
  };
}

/** How much of a video was played. */
function share({ played, duration }) {
  const parts = Array.from({ length: played.length }, (_, at) => played.end(at) - played.start(at));
  return parts.reduce((sum, part) => sum + part, 0) / duration;
}

function origin(clip) {
  if (clip.origin === "sealed") {
    return [h("p", {}, h("span", { class: "chip good" }, icon("shield"), t.sealed)), h("p", {}, t.sealedWhat)];
  }
  return [
    h("p", {}, h("span", { class: "chip warn" }, icon("scissors"), t.derived)),
    h("p", {}, t.derivedWhat),
    h("ul", {}, clip.transformations.map((line) => h("li", {}, line))),
  ];
}

/** What was found of faces, and an outline of it on demand, so that one sees what was covered and what was not. */
function facesOf(clip, video, outline, at) {
  if (clip.faces.tracks === 0) {
    return { element: h("p", { class: "notice warn" }, t.noFaces), close() {} };
  }
  let frame = 0;
  const draw = () => {
    const boxes = clip.face_boxes.filter((box) => Math.abs(box.at_us - at()) <= nearest(clip));
    replace(outline, boxes.map(({ x, y, width, height }) => svg("rect", { x: x * clip.width, y: y * clip.height, width: width * clip.width, height: height * clip.height })));
    cancelAnimationFrame(frame);
    if (!outline.hasAttribute("hidden") && !video.paused) {
      frame = requestAnimationFrame(draw);
    }
  };
  ["play", "seeked", "pause", "loadeddata"].forEach((kind) => video.addEventListener(kind, draw));
  const row = switchRow(t.showFaces, t.faces(clip.faces), false, (on) => {
    outline.toggleAttribute("hidden", !on);
    draw();
  });
  return { element: row, close: () => cancelAnimationFrame(frame) };
}

/** Half the time between the pictures of which boxes are known. */
function nearest(clip) {
  const times = [...new Set(clip.face_boxes.map((box) => box.at_us))].sort((a, b) => a - b);
  const gaps = times.slice(1).map((time, at) => time - times[at]);
  return Math.min(...gaps, 100_000) / 2 + 1_000;
}

function whoGets(answer) {
  const { request } = answer.request;
  const { bundle } = answer.draft;
  const words = texts.request;
  const facts = [
    [t.agency, answer.agency],
    [t.case, request.case],
    [words.purpose, bundle.terms.purpose],
    [words.kept, words.days(bundle.terms.retention_days)],
    [words.sharing, [bundle.terms.sharing].flat().join(", ") || words.nobody],
    [words.excludes, bundle.terms.excludes.map((one) => words.excluded[one] ?? one).join(", ")],
  ];
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, t.who),
    h("dl", {}, facts.flatMap(([name, what]) => [h("dt", {}, name), h("dd", {}, what)])),
    h("p", { class: "hint" }, t.sealedTo),
    h("details", {}, h("summary", {}, t.key), h("code", {}, bundle.recipient)),
  );
}

function told(title, lines, drawing) {
  return h("section", { class: "panel" }, h("h2", {}, icon(drawing), " ", title), h("ul", {}, lines.map((line) => h("li", {}, line))));
}

function files(bundle) {
  const row = ({ name, what, bytes, sha256 }) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, name)), h("td", {}, what), h("td", { class: "numbers" }, size(bytes)), h("td", {}, h("code", {}, sha256)));
  return h(
    "details",
    { class: "panel got-files" },
    h("summary", {}, t.files(bundle.files.length, bundle.bytes)),
    h(
      "div",
      { class: "scroll", role: "region", "aria-label": t.files(bundle.files.length, bundle.bytes), tabindex: 0 },
      h("table", {}, h("thead", {}, h("tr", {}, t.columns.map((column) => h("th", { scope: "col" }, column)))), h("tbody", {}, bundle.files.map(row))),
    ),
    h("dl", {}, h("dt", {}, t.whole), h("dd", {}, h("code", {}, bundle.sha256))),
  );
}
