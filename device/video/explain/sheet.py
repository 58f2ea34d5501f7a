"""The contact sheet of an explanation: each event from before it to its end, what was refused, and the whole film."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from device.video.explain.account import Account, ExplainedEvent
from device.video.explain.clip import KEPT_WIDTH
from device.video.explain.draw import draw_refused, draw_tracks
from device.video.explain.levers import zone_intro
from device.video.explain.pen import (
    COUNTS,
    FAINT,
    FOLLOWED_DARK,
    INK,
    RANG,
    RULE,
    ZONE,
    Colour,
    Hatching,
    Image,
    Tags,
    fitted,
    paper,
    wrapped,
    write,
)
from device.video.explain.refused import Refused
from device.video.explain.timeline import HEIGHT, KEY_HEIGHT, Timeline, write_key, write_legend
from device.video.explain.words import clock

_COLUMNS: Final = 4
_GAP: Final = 14
_MARGIN: Final = 28
WIDTH: Final = 2 * _MARGIN + _COLUMNS * KEPT_WIDTH + (_COLUMNS - 1) * _GAP
_INNER: Final = WIDTH - 2 * _MARGIN

_MOST_EVENTS: Final = 12
_MOST_REFUSED: Final = 8
_MOST_REFUSED_WITH_EVENTS: Final = 4
_LETTERS: Final = "ABCDEFGH"
_LINE: Final = 20
_CAPTION: Final = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the sheet shows: events in order of time, and what was refused, with the letter that names it.

    Where there is neither, `glimpses` are moments of the film.
    """

    events: tuple[ExplainedEvent, ...]
    refused: tuple[tuple[str, Refused], ...]
    glimpses: tuple[int, ...] = ()

    def moments(self, account: Account) -> set[int]:
        """Return the moments of which pictures are needed: wall clock of pictures of the film."""
        wanted = {at_us for event in self.events for at_us in _moments(event)} | {one.at_us for _, one in self.refused}
        return {_shown_us(account, at_us) for at_us in wanted.union(self.glimpses)}


def choose(account: Account) -> Chosen:
    """Choose what the sheet shows: the strongest events and refusals."""
    moved = [event for event in account.events if event.kind == "motion"]
    rang = [event for event in account.events if event.kind == "ring"]
    strongest = sorted(moved, key=lambda event: -event.score)[:_MOST_EVENTS]
    shown = (strongest + rang)[:_MOST_EVENTS]
    most = _MOST_REFUSED_WITH_EVENTS if moved else _MOST_REFUSED
    refused = _strongest(account, most)
    in_time = sorted(refused, key=lambda one: one.at_us)
    span_us = account.end_us - account.start_us
    glimpses = tuple(account.start_us + span_us * (2 * part + 1) // (2 * _COLUMNS) for part in range(_COLUMNS))
    return Chosen(
        glimpses=() if shown or refused else glimpses,
        events=tuple(sorted(shown, key=lambda event: (event.start_us, event.number))),
        refused=tuple(zip(_LETTERS, in_time, strict=False)),
    )


def _strongest(account: Account, most: int) -> list[Refused]:
    """Return the strongest of what was refused, and the strongest of each kind that sensitivity can change."""
    in_order = sorted(account.refused, key=lambda one: -one.strength)
    first: dict[str, Refused] = {}
    for one in in_order:
        if one.level is not None:
            first.setdefault(one.why, one)
    tunable = list(first.values())[:most]
    others = [one for one in in_order if one not in tunable]
    return [*tunable, *others[: most - len(tunable)]]


def explain_sheet(
    account: Account, chosen: Chosen, pictures: Mapping[int, Image], *, title: str, notes: Sequence[str]
) -> bytes:
    """Return the sheet as PNG. `pictures` are those of `chosen.moments`, undrawn; `notes` stand below the title."""
    parts = [_heading(title, notes)]
    parts += [_event(account, event, pictures) for event in chosen.events]
    left_away = len(account.events) - len(chosen.events)
    if left_away:
        parts.append(_note(f"{left_away} more events are in explained.json and in the clip"))
    parts += _refusals(account, chosen, pictures)
    parts.append(_whole(account, chosen))
    done, data = cv2.imencode(".png", np.vstack(parts), [cv2.IMWRITE_PNG_COMPRESSION, 6])
    if not done:
        raise AssertionError("a sheet of three colours is always a PNG")
    return data.tobytes()


def label_words(event: ExplainedEvent) -> str:
    """Say what an event's mover was found to be, and by whom."""
    label = event.label
    if label is None:
        return ""
    by = "the model" if label.by == "model" else "its shape"
    return "unknown mover" if label.kind == "unknown" else f"{label.kind} (by {by}, {label.confidence} %)"


def refused_words(refused: Refused) -> str:
    """Say what was refused and why, the name first, once."""
    known = refused.words.startswith(refused.why)
    return refused.words if known else f"{refused.why}: {refused.words}"


def _moments(event: ExplainedEvent) -> tuple[int, ...]:
    if event.kind == "ring":
        return ()
    return (event.before_us, event.start_us, event.best_us, event.end_us)


def _shown_us(account: Account, at_us: int) -> int:
    """Return the wall clock of the picture that is shown at a moment; before the first it is the first."""
    return account.pictures[account.at(at_us) or 0].at_us


def _heading(title: str, notes: Sequence[str]) -> Image:
    lines = [line for note in notes for line in wrapped(note, _INNER, size=0.46)]
    sheet = paper(74 + len(lines) * _LINE, WIDTH)
    write(sheet, fitted(title, _INNER, size=0.95), (_MARGIN, 44), size=0.95, bold=True)
    for number, line in enumerate(lines):
        write(sheet, line, (_MARGIN, 72 + number * _LINE), size=0.46, colour=FAINT)
    return sheet


def _event(account: Account, event: ExplainedEvent, pictures: Mapping[int, Image]) -> Image:
    start_s, end_s = account.seconds(event.start_us), account.seconds(event.end_us)
    if event.kind == "ring":
        return _row_title(f"Bell {event.number}", f"{clock(start_s)}    {event.began}", RANG)
    span = f"{clock(start_s)} to {clock(end_s)}  ({end_s - start_s:.1f} s)"
    cells: list[Image] = []
    for at_us, what in zip(_moments(event), ("before", "start", "best", "end"), strict=True):
        shown_us = _shown_us(account, at_us)
        caption = f"{what}  {clock(account.seconds(shown_us))}"
        cells.append(_cell(account, shown_us, pictures, caption, drawn=True))
    said = [("began", event.began), ("ended", event.ended)]
    if event.clips:
        said.append(("clips", event.clips))
    reasons = paper((len(said) + (event.where is not None)) * _LINE + 14, WIDTH)
    if event.where is not None:
        line = f"{zone_intro(event.where)}  {event.zone_line}"
        base = (len(said) + 1) * _LINE - 4
        write(reasons, fitted(line, _INNER - 70, size=0.4), (_MARGIN + 70, base), size=0.4, colour=FAINT)
    for number, (word, text) in enumerate(said):
        base = (number + 1) * _LINE - 4
        write(reasons, word, (_MARGIN, base), size=0.46, colour=COUNTS, bold=True)
        write(reasons, fitted(text, _INNER - 70, size=0.48), (_MARGIN + 70, base), size=0.48)
    title = _row_title(f"Event {event.number}", f"{span}    score {event.score}    {label_words(event)}", COUNTS)
    return np.vstack([title, _row(cells), reasons])


def _row_title(title: str, rest: str, colour: Colour) -> Image:
    sheet = paper(46, WIDTH)
    cv2.line(sheet, (_MARGIN, 6), (WIDTH - _MARGIN, 6), RULE, 1)
    x = write(sheet, title, (_MARGIN, 34), size=0.64, colour=colour, bold=True)
    write(sheet, fitted(rest, WIDTH - _MARGIN - x - 20, size=0.54), (x + 20, 34), size=0.54)
    return sheet


def _cell(account: Account, at_us: int, pictures: Mapping[int, Image], caption: str, *, drawn: bool) -> Image:
    known = pictures.get(at_us)
    image = np.full((KEPT_WIDTH * 9 // 16, KEPT_WIDTH, 3), 225, np.uint8) if known is None else known.copy()
    height, width = image.shape[:2]
    Hatching(account.motion.ignore, width=width, height=height, colour=ZONE).draw(image)
    number = account.at(at_us)
    last = None if number is None else account.looked(number)
    if drawn and number is not None and last is not None and last.glance is not None:
        remembered = account.pictures[number].glance is None
        draw_tracks(image, Tags(image), last.glance, account.motion, remembered=remembered, sparing=True)
    cv2.rectangle(image, (0, 0), (width - 1, height - 1), (160, 160, 160), 1)
    below = paper(_CAPTION, KEPT_WIDTH)
    write(below, caption, (2, 17), size=0.46, colour=FAINT)
    return np.vstack([image, below])


def _row(cells: Sequence[Image]) -> Image:
    tall = max(cell.shape[0] for cell in cells)
    sheet = paper(tall, WIDTH)
    for number, cell in enumerate(cells):
        left = _MARGIN + number * (KEPT_WIDTH + _GAP)
        sheet[: cell.shape[0], left : left + KEPT_WIDTH] = cell
    return sheet


def _refusals(account: Account, chosen: Chosen, pictures: Mapping[int, Image]) -> list[Image]:
    if not chosen.refused:
        title = _row_title("Refused", "nothing changed that came near to counting", FOLLOWED_DARK)
        moments = [_shown_us(account, at_us) for at_us in chosen.glimpses]
        cells = [_cell(account, us, pictures, clock(account.seconds(us)), drawn=False) for us in moments]
        return [title, _row(cells) if cells else paper(0, WIDTH), paper(10, WIDTH)]
    kinds = ", ".join(f"{count} x {why}" for why, count in account.refused_whys.items())
    parts = [_row_title("Refused", f"what changed and did not count, the strongest of: {kinds}", FOLLOWED_DARK)]
    for first in range(0, len(chosen.refused), _COLUMNS):
        row = chosen.refused[first : first + _COLUMNS]
        parts += [_row([_refusal(account, letter, one, pictures) for letter, one in row])]
    return parts


def _refusal(account: Account, letter: str, refused: Refused, pictures: Mapping[int, Image]) -> Image:
    at_us = _shown_us(account, refused.at_us)
    caption = f"{letter}  {clock(account.seconds(refused.at_us))}  {refused.why}"
    cell = _cell(account, at_us, pictures, caption, drawn=False)
    draw_refused(cell[:-_CAPTION], refused.box)
    lines = [(line, INK) for line in wrapped(refused.words.removeprefix(f"{refused.why}: "), KEPT_WIDTH - 4, size=0.44)]
    lines += [(line, FOLLOWED_DARK) for line in wrapped(refused.lever, KEPT_WIDTH - 4, size=0.44)]
    below = paper(len(lines) * 18 + 14, KEPT_WIDTH)
    for number, (line, colour) in enumerate(lines):
        write(below, line, (2, 12 + number * 18), size=0.44, colour=colour)
    return np.vstack([cell, below])


def _whole(account: Account, chosen: Chosen) -> Image:
    sheet = paper(HEIGHT + 76 + KEY_HEIGHT, WIDTH)
    write_key(sheet, (_MARGIN, HEIGHT + 64))
    cv2.line(sheet, (_MARGIN, 6), (WIDTH - _MARGIN, 6), RULE, 1)
    write(sheet, "The whole film", (_MARGIN, 34), size=0.64, bold=True)
    write_legend(sheet, (WIDTH - _MARGIN - 14, 34))
    timeline = Timeline(
        account, from_us=account.start_us, to_us=account.end_us, width=_INNER + 10, letters=chosen.refused
    )
    sheet[48 : 48 + HEIGHT, _MARGIN - 10 : _MARGIN + _INNER] = timeline.image
    return sheet


def _note(text: str) -> Image:
    sheet = paper(34, WIDTH)
    write(sheet, text, (_MARGIN, 20), size=0.46, colour=FAINT)
    return sheet
