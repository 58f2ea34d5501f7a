"""Draws what was seen into a picture: boxes and why they count or not, zones, masks, and what is the matter now."""

import cv2

from device.video.explain.account import Account, Picture
from device.video.explain.glance import Glance
from device.video.explain.pen import (
    COUNTS,
    FOLLOWED,
    INK,
    SMALL,
    WHITE,
    ZONE,
    Colour,
    Hatching,
    Image,
    Tags,
    dashed_box,
    frame_box,
)
from device.video.explain.words import clock, now_words, short_words
from device.video.motion.detector import MotionBox, MotionSettings, MotionTrack
from device.video.zones import Polygon

_DIM = 0.86
_FADING: Colour = (120, 170, 60)
_DARK: Colour = (40, 36, 32)
_MASK: Colour = (120, 120, 120)
# The clock's own place, and what stands beside it.
_MARGIN = 8
_MOST_SMALL = 3


class Annotator:
    """Draws into pictures of one size; the size is the picture's as it is shown."""

    def __init__(self, account: Account, *, masks: tuple[Polygon, ...], width: int, height: int) -> None:
        self._account = account
        self._zones = Hatching(account.motion.ignore, width=width, height=height, colour=ZONE)
        self._masks = Hatching(masks, width=width, height=height, colour=_MASK, step=22)

    def draw(self, image: Image, number: int) -> None:
        """Draw what was seen in picture `number` of the film, in place."""
        account = self._account
        picture = account.pictures[number]
        last = account.looked(number)
        if picture.glance is None:
            # Gray, and a little darker: enough to tell, and no flicker.
            gray = cv2.convertScaleAbs(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), alpha=_DIM)
            cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR, image)
        self._zones.draw(image)
        self._masks.draw(image)
        tags = Tags(image)
        _corner(image, tags, account, picture)
        if last is not None and last.glance is not None:
            draw_tracks(image, tags, last.glance, account.motion, remembered=picture.glance is None)
        for places, text, colour in ((self._zones.tops, "ignored", ZONE), (self._masks.tops, "mask", _MASK)):
            for x, y in places:
                tags.put(text, ((x + 3, y + 3),), colour=colour)


def draw_tracks(
    image: Image, tags: Tags, glance: Glance, settings: MotionSettings, *, remembered: bool, sparing: bool = False
) -> None:
    """Draw boxes with their reasons; `remembered` ones are of a picture before this one.

    `sparing`: reasons only where nothing counts.
    """
    tracks = glance.tracks
    small = [track for track in tracks if track.why == "too small"][:_MOST_SMALL]
    for track in small:
        if not remembered:
            cv2.rectangle(image, *_corners(track.box, image), SMALL, 1, cv2.LINE_AA)
    others = [track for track in tracks if track.why != "too small"]
    for track in reversed(others):
        _outline(image, track, remembered=remembered)
    told = False
    tags.shun(_rect(track.box, image) for track in others if track.seen)
    for track in others:
        if track.confirmed:
            text = "counts" if told or not (glance.active and track.seen) else f"score {glance.score}"
            told = told or track.seen
            if not track.seen and sparing and glance.score and any(one.confirmed and one.seen for one in others):
                continue
            said = text if track.seen else "not seen now"
            tags.beside(said, _rect(track.box, image), colour=COUNTS, weak=not track.seen)
        elif not remembered and not (sparing and glance.active):
            crowded = len(others) > 1
            if not crowded or (track.seen and track.why != "new"):
                said = short_words(track, settings)
                tags.beside(said, _rect(track.box, image), colour=FOLLOWED, ink=INK, weak=crowded)
    if small and not others and not remembered:
        tags.beside("too small", _rect(small[0].box, image), colour=SMALL, ink=INK)


def _outline(image: Image, track: MotionTrack, *, remembered: bool) -> None:
    rect = _rect(track.box, image)
    colour = COUNTS if track.confirmed else FOLLOWED
    if remembered or not track.seen:
        if track.confirmed or not remembered:
            dashed_box(image, rect, colour)
    else:
        frame_box(image, rect, colour, thick=2 if track.confirmed else 1)


def draw_refused(image: Image, box: MotionBox | None) -> None:
    """Draw the box of something that was refused; nothing if it was the whole picture."""
    if box is not None:
        frame_box(image, _rect(box, image), FOLLOWED, thick=2)


def _corner(image: Image, tags: Tags, account: Account, picture: Picture) -> None:
    """Write the time into the corner, and whether it is an event and was looked at."""
    at_s = account.seconds(picture.at_us)
    x = _MARGIN
    event = account.event_at(picture.at_us)
    items = [(clock(at_s), _DARK, WHITE)]
    if event is not None:
        items.append((f"event {event.number}", COUNTS, WHITE))
        height, width = image.shape[:2]
        cv2.rectangle(image, (1, 1), (width - 2, height - 2), COUNTS, 3)
    if picture.glance is None:
        items.append(("not looked at", (150, 140, 132), WHITE))
    for text, colour, ink in items:
        tags.put(text, ((x, _MARGIN),), colour=colour, ink=ink, size=0.5)
        x += cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0] + 16


def matter(account: Account, number: int, *, post_roll_s: float) -> tuple[str, Colour]:
    """Say what is the matter in a picture of the film, and in which colour."""
    picture = account.pictures[number]
    event = account.event_at(picture.at_us)
    last = account.looked(number)
    if last is None or last.glance is None:
        return "not looked at: the film has not been understood so far", SMALL
    if picture.glance is None:
        return _left_out(picture, last), SMALL
    glance = picture.glance
    words = now_words(glance.quiet, glance.tracks, glance.score, account.motion)
    if glance.active:
        return words, COUNTS
    if event is None:
        before = next((e for e in reversed(account.events) if e.kind == "motion" and e.end_us < picture.at_us), None)
        since_s = post_roll_s if before is None else (picture.at_us - before.end_us) / 1_000_000
        if before is not None and since_s < post_roll_s and not glance.tracks:
            return f"quiet for {since_s:.1f} s; after {post_roll_s:.1f} s event {before.number} is over", _FADING
    following = any(track.why != "too small" for track in glance.tracks)
    return words, FOLLOWED if following or glance.quiet is not None else SMALL


# Motion looks at no more than some fifteen pictures a second.
_TOO_SOON_US = 45_000


def _left_out(picture: Picture, last: Picture) -> str:
    if picture.at_us - last.at_us < _TOO_SOON_US:
        return "not looked at: too soon after the picture before"
    if last.glance is not None and last.glance.holding:
        return "not looked at: the event is sure; the next keyframe tells whether it goes on"
    return "not looked at: the keyframe was quiet, and no packet sticks out"


def _corners(box: MotionBox, image: Image) -> tuple[tuple[int, int], tuple[int, int]]:
    left, top, right, bottom = _rect(box, image)
    return (left, top), (right, bottom)


def _rect(box: MotionBox, image: Image) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels."""
    height, width = image.shape[:2]
    return (
        round(box.left * width),
        round(box.top * height),
        min(width - 1, round((box.left + box.width) * width)),
        min(height - 1, round((box.top + box.height) * height)),
    )
