"""A film as a strip of small pictures to choose by, from its keyframes alone: nothing between them is decoded."""

from collections.abc import Sequence

import numpy as np

from device.video.packets import us_from_ticks
from device.video.pictures import jpeg
from device.video.redact.pictures import PictureDecoder
from device.video.segments import Segment


def filmstrip(segments: Sequence[Segment], *, height: int = 72, most: int = 60) -> list[tuple[int, bytes]]:
    """Return (at_us, JPEG) of up to `most` keyframes, evenly chosen, in order; so many pixels high.

    BitstreamError if one of them is damaged.
    """
    keyframes = [
        (segment, unit, segment.start_us + us_from_ticks(unit.pts - segment.units[0].pts))
        for segment in segments
        for unit in segment.units
        if unit.keyframe
    ]
    count = min(most, len(keyframes))
    strip = []
    decoder, config = None, None
    for segment, unit, at_us in (keyframes[number * len(keyframes) // count] for number in range(count)):
        if decoder is None or segment.config != config:
            decoder, config = PictureDecoder(segment.config, filtered=False), segment.config
        for picture in (*decoder.decode(unit, at_us=at_us), *decoder.drain()):
            frame = picture.frame
            width = max(2, round(height * frame.width / frame.height))
            small = frame.reformat(width=width, height=height, format="bgr24", interpolation="FAST_BILINEAR")
            strip.append((at_us, jpeg(np.asarray(small.to_ndarray(), np.uint8))))
    return strip
