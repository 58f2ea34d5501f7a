"""What motion saw, in words for a person who tunes a camera. Pure; plain ASCII, since it is drawn into pictures."""

from collections.abc import Sequence
from typing import Final

from device.video.motion.detector import MotionBox, MotionReading, MotionSettings, MotionTrack

_USUAL_HEIGHT: Final = 7.0
_EDGE: Final = 0.015
# Seconds; what is shorter would be written as 0.0.
_TENTH: Final = 0.05

_QUIET: Final = {
    "picture too small": "the picture is too small to be looked at",
    "first picture": "first picture: learning what is there",
    "light changed everywhere": "light changed everywhere: learning anew",
    "settling": "settling: learning what is there",
    "everything leapt": "everything leapt at once: a shaken camera or a flash",
}


def share(value: float) -> str:
    """Write a share of the picture as per cent, as fine as it matters."""
    percent = 100 * value
    return f"{percent:.2f} %" if percent < 1 else f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"  # noqa: PLR2004


def clock(seconds: float) -> str:
    """Write a time into the film: 0:04.2, 1:02:03.4."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, tenth = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenth // 10:02d}.{tenth % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def straightness(track: MotionTrack) -> float:
    """Net way over path, at most 1."""
    return min(1.0, track.net_way / track.path) if track.path > 0 else 1.0


def sensitivity_words(settings: MotionSettings) -> str:
    """Say what settings of a sensitivity mean."""
    smallest = _USUAL_HEIGHT * (MotionSettings().blob_area_share / settings.blob_area_share) ** 0.5
    return (
        f"sees a person from about 1/{smallest:.0f} of the picture's height on who is lighter or darker than the "
        f"background (colour alone is not seen): whatever covers {share(settings.blob_area_share)} of the picture "
        f"and comes {share(settings.net_way_share)} of its width, "
        f"not to and fro (straightness {settings.straightness:.2f})"
    )


def quiet_words(quiet: str) -> str:
    """Say why all that changed in a picture was passed over."""
    return _QUIET.get(quiet, quiet)


def short_words(track: MotionTrack, settings: MotionSettings) -> str:
    """Say in two or three words why something does not count yet, to be written beside its box."""
    if track.why == "has come no way":
        return f"way {share(track.net_way)} of {share(settings.net_way_share)}"
    return str(track.why or "")


def why_name(why: str) -> str:
    """Name a reason as people would."""
    return "too short a way" if why == "has come no way" else why


def why_words(track: MotionTrack, settings: MotionSettings, *, area_share: float | None = None) -> str:
    """Say why something does not count, with the figures that decide it; `area_share` is how large it is, if known."""
    way, path, least = share(track.net_way), share(track.path), share(settings.net_way_share)
    short = f"{way} of the width; needs {least}" if way != least else f"just short of {least} of the width"
    needs = share(settings.blob_area_share)
    small = f"less than {needs} of the picture" if area_share is None else _small_words(share(area_share), needs)
    said = {
        "new": f"only just seen, first {track.age_s:.1f} s ago" if track.age_s >= _TENTH else "seen for the first time",
        "flickers": "flickers: there in too few of the looks",
        "has come no way": f"too short a way: {short}",
        "wanders": f"wanders: net way {way} of path {path}, straightness {straightness(track):.2f}; "
        f"needs {settings.straightness:.2f}",
        "too fast": f"too fast for its size, and not straight on: {path} in {track.age_s:.1f} s",
        "is light": f"is light: came {way}, but has no edges of its own",
        "too small": f"too small: {small}",
    }
    return said.get(str(track.why), str(track.why or "counts"))


def passing_words(seen_s: float) -> str:
    """Say of something that it was gone before anything could be said of it."""
    return f"seen for {seen_s:.1f} s and gone" if seen_s >= _TENTH else "seen in one picture and gone"


def began_words(tracks: Sequence[MotionTrack], settings: MotionSettings) -> str:
    """Say why an event began with this picture."""
    counted = sorted((track for track in tracks if track.confirmed), key=lambda track: -track.net_way)
    if not counted:
        return "something moved"
    first = counted[0]
    more = f", and {len(counted) - 1} more" if len(counted) > 1 else ""
    return (
        f"came {share(first.net_way)} of the width in {first.age_s:.1f} s, straightness {straightness(first):.2f}{more}"
        f" (needs {share(settings.net_way_share)} and {settings.straightness:.2f})"
    )


def ended_words(
    last: MotionReading | None,
    then: MotionReading | None,
    settings: MotionSettings,
    *,
    seen_s: float,
    held_s: float,
    post_roll_s: float | None,
) -> str:
    """Say why an event ended: `last` it was there, `then` no more, for `post_roll_s` or until the film ended (None).

    `seen_s`: when it was in sight for the last time, in seconds into the film; `held_s`: how long it was held after.
    """
    if then is None:
        return "the film ended, and it was still there"
    quiet = "then the film ended" if post_roll_s is None else f"nothing moved in the {post_roll_s:.1f} s after"
    if then.quiet == "light changed everywhere":
        return f"light changed everywhere, so all was learnt anew; {quiet}"
    tracks = () if last is None else tuple(track for track in last.tracks if track.confirmed)
    seen = [track for track in tracks if track.seen]
    if seen and not any(track.confirmed for track in then.tracks):
        return f"stood still for {settings.still_s:.0f} s and became part of the picture; {quiet}"
    edge = next((edge for track in seen or tracks if (edge := _edge(track.box)) is not None), None)
    back = quiet if post_roll_s is None else f"nothing came back in the {post_roll_s:.1f} s after"
    where = f", at the {edge} edge" if edge else ""
    waited = f"out of sight for {held_s:.1f} s, and " if held_s >= _TENTH else ""
    return f"last seen {clock(seen_s)}{where}; {waited}{back}"


def rang_words(presses: int, *, post_roll_s: float | None) -> tuple[str, str]:
    """Say why an event of the bell began and ended."""
    began = "somebody rang" if presses == 1 else f"somebody rang, {presses} times"
    return began, "the film ended" if post_roll_s is None else f"nobody rang again for {post_roll_s:.1f} s"


def now_words(reading_quiet: str | None, tracks: Sequence[MotionTrack], score: int, settings: MotionSettings) -> str:
    """Say what is the matter in a picture that was looked at."""
    if reading_quiet is not None:
        return quiet_words(reading_quiet)
    counted = [track for track in tracks if track.confirmed]
    if any(track.seen for track in counted):
        most = max(counted, key=lambda track: track.net_way)
        several = "something moves" if len(counted) == 1 else f"{len(counted)} things move"
        return f"{several}: score {score}, came {share(most.net_way)} of the width in {most.age_s:.1f} s"
    if counted:
        return "out of sight for a moment: what moved may come back"
    if not tracks:
        return "nothing changes"
    strongest = max(tracks, key=lambda track: (track.why != "too small", track.net_way, _area(track.box)))
    return why_words(strongest, settings)


def _small_words(area: str, needs: str) -> str:
    return f"{area} of the picture; needs {needs}" if area != needs else f"just short of {needs} of the picture"


def _area(box: MotionBox) -> float:
    return box.width * box.height


def _edge(box: MotionBox) -> str | None:
    if box.left < _EDGE:
        return "left"
    if box.left + box.width > 1 - _EDGE:
        return "right"
    if box.top < _EDGE:
        return "upper"
    return "lower" if box.top + box.height > 1 - _EDGE else None
