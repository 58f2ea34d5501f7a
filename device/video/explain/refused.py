"""What changed in a film and did not count: followed through its readings, the strongest of it kept. Pure.

Readings name no tracks. Two belong together if they began at the same moment; of several that did, the nearest.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from device.video.explain.levers import largest_small, level_for_area, level_for_way, lever_words
from device.video.explain.words import passing_words, quiet_words, share, why_name, why_words
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

    `strength`, 0 to 2, orders them: how much of the picture, and how far a way. `lever` says what to turn so that it
    would count; `level` is the sensitivity from which on it would be large enough or have come far enough, if any.
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
    lever: str
    level: int | None = None
    area_share: float | None = None


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
            largest, area_share = small[0], largest_small(reading.grounds)
            words = why_words(largest, self._settings, area_share=area_share)
            strength = worth * _TOO_SMALL_WORTH * min(1.0, area_share / _FULL_AREA)
            self._spell("too small", words, reading.at_us, strength=strength, box=largest.box, area_share=area_share)
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
            elif track.seen and _better(track, strength, known):
                known.best_us, known.best, known.strength = at_us, track, strength
            known.last = track
            if track.seen:
                known.last_us = at_us
            self._followed.append(known)
        for gone in before:
            self._over(gone)

    def _over(self, followed: _Followed) -> None:
        best = followed.best
        passing = best.why in ("new", None)
        why = "gone at once" if passing else why_name(str(best.why))
        level = level_for_way(best) if best.why == "has come no way" else None
        seen_s = (followed.last_us - followed.start_us) / 1_000_000
        self._keep(
            Refused(
                at_us=followed.best_us,
                start_us=followed.start_us,
                end_us=followed.last_us,
                why=why,
                words=passing_words(seen_s) if passing else why_words(best, self._settings),
                box=best.box,
                net_way=best.net_way,
                path=best.path,
                strength=followed.strength,
                lever=lever_words(why, level),
                level=level,
            )
        )

    def _spell(
        self,
        why: str,
        words: str,
        at_us: int,
        *,
        strength: float,
        box: MotionBox | None,
        area_share: float | None = None,
    ) -> None:
        """Go on with what lasts for several pictures without being followed, or begin it."""
        known = self._spells.get(why)
        if known is not None and strength <= known.strength:
            at, words, box, strength = known.at_us, known.words, known.box, known.strength
            area_share = known.area_share
        else:
            at = at_us
        start_us = at_us if known is None else known.start_us
        level = None if area_share is None else level_for_area(area_share)
        self._spells[why] = Refused(
            at_us=at, start_us=start_us, end_us=at_us, why=why, words=words, box=box,
            net_way=0.0, path=0.0, strength=strength, lever=lever_words(why, level), level=level, area_share=area_share,
        )  # fmt: skip

    def _keep(self, refused: Refused) -> None:
        self._whys[refused.why] += 1
        self._kept.append(refused)
        if len(self._kept) > _MOST:
            # One of each kind stays: what tells most of how to tune need not be what is largest.
            kinds = Counter(one.why for one in self._kept)
            spare = [one for one in self._kept if kinds[one.why] > 1]
            self._kept.remove(min(spare, key=lambda one: one.strength))


def _better(track: MotionTrack, strength: float, known: _Followed) -> bool:
    """Whether it is at its strongest now; what came too short a way is where it came furthest."""
    if known.best.why == "new":
        return True
    if track.why == known.best.why == "has come no way":
        return track.net_way >= known.best.net_way
    return strength >= known.strength


def _strength(track: MotionTrack) -> float:
    return min(1.0, _area(track.box) / _FULL_AREA) + min(1.0, track.net_way / _FULL_WAY)


def _area(box: MotionBox) -> float:
    return box.width * box.height


def _apart(a: MotionBox, b: MotionBox) -> float:
    across = a.left + a.width / 2 - b.left - b.width / 2
    return abs(across) + abs(a.top + a.height / 2 - b.top - b.height / 2)
