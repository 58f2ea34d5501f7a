"""Looks for faces all through a film, several times a second, and gives them as tracks. Holds one picture at a time."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from device.video.redact.faces import FaceFinder
from device.video.redact.pictures import pictures
from device.video.redact.tracks import Track, Tracker
from device.video.segments import Segment

# From one look to the next, at the least. Trembling times must not cost a look.
LOOK_EVERY_US: Final = 240_000


def looks(times: Sequence[int]) -> list[int]:
    """Return in which of these pictures faces are looked for: the first, the last, and every so often between."""
    found: list[int] = []
    for at_us in times:
        if not found or at_us - found[-1] >= LOOK_EVERY_US or at_us == times[-1]:
            found.append(at_us)
    return found


def find_tracks(
    segments: Sequence[Segment],
    times: Sequence[int],
    *,
    finder: FaceFinder,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[Track, ...]:
    """Return the faces of a film's pictures at these times; `progress` goes from 0 to 1, a step a picture."""
    config = segments[0].config
    tracker = Tracker(aspect=config.width / config.height)
    wanted = set(looks(times))
    done = 0
    # What is looked at only once needs no loop filter; a face is a face without it.
    for picture in pictures(segments, filtered=False):
        if picture.at_us in wanted:
            bgr = picture.frame.to_ndarray(format="bgr24")
            tracker.add(picture.at_us, finder.find(np.asarray(bgr, np.uint8)))
        if times[0] <= picture.at_us <= times[-1]:
            done += 1
            progress(done / len(times))
        if picture.at_us >= times[-1]:
            break
    return tracker.tracks()
