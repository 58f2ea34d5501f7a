// The events of a day as a list: each with its picture, what it was, when, and how long.

import { h } from "./dom.js";
import { clockSeconds, duration } from "./format.js";
import { icon } from "./icons.js";
import { texts } from "./texts.js";

const t = texts.day;

/** The clip of an event, or of a moment. */
export function clipOf(event, clips) {
  return clips.find(({ clip }) => clip === event.clip) ?? clips.find((clip) => clip.start_us <= event.start_us && event.start_us < clip.end_us) ?? null;
}

/**
 * A list of events, and of clips that have none; newest first.
 * @param {{events: Object[], clips: Object[], onplay: (clip: string, at: number) => void}} what
 */
export function eventList({ events, clips, onplay }) {
  const used = new Set(events.map((event) => clipOf(event, clips)?.clip));
  const alone = clips.filter(({ clip }) => !used.has(clip)).map((clip) => ({ kind: "clip", start_us: clip.start_us, end_us: clip.end_us, clip: clip.clip }));
  const entries = [...events, ...alone].toSorted((one, other) => other.start_us - one.start_us);
  return h("ul", { class: "plain events" }, entries.map((entry) => h("li", {}, row(entry, clipOf(entry, clips), onplay))));
}

/** What an event was, in words. */
export function eventWords(event) {
  return event.kind === "clip" ? t.clipOnly : t.event(event.kind, event.label);
}

function row(event, clip, onplay) {
  const words = eventWords(event);
  const when = clockSeconds(event.start_us);
  const length = lengthWords(event);
  const inside = [
    picture(clip),
    h(
      "span",
      { class: "event-words" },
      h("span", { class: "event-what" }, h("span", { class: ["dot", event.kind] }), words),
      h("span", { class: "quiet numbers" }, [when, length].filter(Boolean).join(", "), !clip && `, ${t.noClip}`),
    ),
  ];
  if (!clip) {
    return h("div", { class: "event" }, inside);
  }
  return h("button", { type: "button", class: "event", "aria-label": t.play(t.eventWhen(words, when, length)), onclick: () => onplay(clip.clip, event.start_us) }, inside, icon("play"));
}

function lengthWords({ kind, start_us: start, end_us: end }) {
  if (kind === "ring" || end === start) {
    return "";
  }
  return end === null ? t.ongoing : duration(end - start);
}

/** A clip's first picture; a grey field where there is none. */
export function picture(clip, number = 0) {
  const url = clip?.thumbnails?.[number];
  return h("span", { class: "thumb" }, url ? h("img", { src: url, alt: "", width: 96, height: 54, loading: "lazy", decoding: "async" }) : icon("camera"));
}
