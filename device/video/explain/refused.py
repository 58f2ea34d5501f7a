"""What changed in a film and did not count: followed through its readings, the strongest of it kept. Pure.

Readings name no tracks. Two belong together if they began at the same moment; of several that did, the nearest.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from device.video.explain.words import passing_words, quiet_words, share, why_words
from device.video.motion.detector import MotionBox, MotionReading, MotionSettings, MotionTrack

_MOST: Final = 12
# What lasts is one spell as long as no more than this lies between.
_APART_US: Final = 1_500_000
# Beside something that counts, a part of it as often as not.
_BESIDE: Final = 0.3
# Less than this may be within a zone to ignore without being told of, as a part of what would count.
_TOLD_OF: Final = 0.5
# A score's own measure: so much of the picture, so far a way, is as much as counts.
_FULL_AREA: Final = 0.06
_FULL_WAY: Final = 0.25
_OF_ALL: Final = {"light changed everywhere": 1.0, "everything leapt": 0.8}
_TOO_SMALL_WORTH: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Something that did not count, at its strongest. `box` is None if it was the whole picture.

    `strength`, 0 to 2, orders them: how much of the picture, and how far a way.
    """

    at_us: int
    start_us: int
    end_us: int
    why: str
    words: str
    box: MotionBox | None
    net_way: float
    path: float
    strength: float


@dataclass(slots=True, kw_only=True)
class _Followed:
    start_us: int
    last_us: int
    last: MotionTrack
    best_us: int
    best: MotionTrack
    strength: float


class Refusals:
    """Takes readings in order; holds what is followed now, and the strongest of what is over."""

    def __init__(self, settings: MotionSettings) -> None:
        self._settings = settings
        self._followed: list[_Followed] = []
        self._spells: dict[str, Refused] = {}
        self._kept: list[Refused] = []
        self._whys: Counter[str] = Counter()

    def reading(self, reading: MotionReading) -> None:
        """Take what was seen in the next picture."""
        tracks = reading.tracks
        worth = _BESIDE if reading.active else 1.0
        self._follow([track for track in tracks if track.why != "too small"], reading.at_us, worth=worth)
        small = [track for track in tracks if track.why == "too small"]
        if small:
            largest = max(small, key=lambda track: _area(track.box))
            words = why_words(largest, self._settings)
            strength = worth * _TOO_SMALL_WORTH * _strength(largest)
            self._spell("too small", words, reading.at_us, strength=strength, box=largest.box)
        if reading.quiet in _OF_ALL:
            strength = _OF_ALL[reading.quiet]
            self._spell(reading.quiet, quiet_words(reading.quiet), reading.at_us, strength=strength, box=None)
        if reading.ignored_share >= _TOLD_OF * self._settings.blob_area_share:
            words = f"{share(reading.ignored_share)} of the picture changed within a zone to ignore"
            strength = min(1.0, reading.ignored_share / _FULL_AREA)
            self._spell("ignored zone", words, reading.at_us, strength=strength, box=None)
        for why, spell in list(self._spells.items()):
            if reading.at_us - spell.end_us > _APART_US:
                self._keep(self._spells.pop(why))

    def finish(self) -> tuple[tuple[Refused, ...], dict[str, int]]:
        """Return the strongest, in order of time, and how many there were for each reason."""
        for followed in self._followed:
            self._over(followed)
        for spell in self._spells.values():
            self._keep(spell)
        self._followed, self._spells = [], {}
        return tuple(sorted(self._kept, key=lambda one: one.at_us)), dict(self._whys.most_common())

    def _follow(self, tracks: list[MotionTrack], at_us: int, *, worth: float) -> None:
        before, self._followed = self._followed, []
        for track in tracks:
            start_us = at_us - round(track.age_s * 1_000_000)
            near = [one for one in before if abs(one.start_us - start_us) <= 1]
            known = min(near, key=lambda one: _apart(one.last.box, track.box), default=None)
            if known is not None:
                before.remove(known)
            if track.confirmed:
                continue  # it counts; what was against it is forgotten
            strength = worth * _strength(track)
            if known is None:
                known = _Followed(
                    start_us=start_us, last_us=at_us, last=track, best_us=at_us, best=track, strength=strength
                )
            elif track.seen and (strength >= known.strength or known.best.why == "new"):
                known.best_us, known.best, known.strength = at_us, track, strength
            known.last_us, known.last = at_us, track
            self._followed.append(known)
        for gone in before:
            self._over(gone)

    def _over(self, followed: _Followed) -> None:
        best = followed.best
        self._keep(
            Refused(
                at_us=followed.best_us,
                start_us=followed.start_us,
                end_us=followed.last_us,
                why="gone at once" if best.why in ("new", None) else str(best.why),
                words=passing_words(best) if best.why in ("new", None) else why_words(best, self._settings),
                box=best.box,
                net_way=best.net_way,
                path=best.path,
                strength=followed.strength,
            )
        )

    def _spell(self, why: str, words: str, at_us: int, *, strength: float, box: MotionBox | None) -> None:
        """Go on with what lasts for several pictures without being followed, or begin it."""
        known = self._spells.get(why)
        if known is not None and strength <= known.strength:
            at, words, box, strength = known.at_us, known.words, known.box, known.strength
        else:
            at = at_us
        start_us = at_us if known is None else known.start_us
        self._spells[why] = Refused(
            at_us=at, start_us=start_us, end_us=at_us, why=why, words=words, box=box,
            net_way=0.0, path=0.0, strength=strength,
        )  # fmt: skip

    def _keep(self, refused: Refused) -> None:
        self._whys[refused.why] += 1
        self._kept.append(refused)
        if len(self._kept) > _MOST:
            self._kept.remove(min(self._kept, key=lambda one: one.strength))


def _strength(track: MotionTrack) -> float:
    return min(1.0, _area(track.box) / _FULL_AREA) + min(1.0, track.net_way / _FULL_WAY)


def _area(box: MotionBox) -> float:
    return box.width * box.height


def _apart(a: MotionBox, b: MotionBox) -> float:
    across = a.left + a.width / 2 - b.left - b.width / 2
    return abs(across) + abs(a.top + a.height / 2 - b.top - b.height / 2)
