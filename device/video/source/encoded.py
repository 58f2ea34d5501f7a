"""Decoded pictures on their way to being kept or looked at: in the one form, masked, and encoded once."""

from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import av

from device.video.codec.decoder import luma_plane
from device.video.codec.encoder import Encoder
from device.video.motion.detector import shrink
from device.video.packets import TICKS_PER_S, AccessUnit, CodecConfig, Packet
from device.video.source.capture import CaptureSettings
from device.video.source.copied import Demuxed, Place
from device.video.source.masks import Masks

Use = Literal["both", "keep", "look"]

# Nobody looks at a picture wider than twice this; halved pictures come out the same whoever halves them.
LOOK_WIDTH = 320

# How often what is looked at alone claims to begin anew; nothing follows from it but where a reader may start.
_KEYFRAME_TICKS = TICKS_PER_S


class Recoder:
    """Makes packets of frames. `place` is asked once for each."""

    def __init__(
        self, *, settings: CaptureSettings, fps: Fraction, use: Use, place: Callable[[Demuxed], Place]
    ) -> None:
        self._settings = settings
        self._fps = fps
        self._use = use
        self._place = place
        self._encoder: Encoder | None = None
        self._masks: Masks | None = None
        self._keyframe_at: int | None = None

    def packet(self, frame: av.VideoFrame, stamp: Demuxed) -> Packet:
        """Return the packet of a frame; BitstreamError if it can't be encoded."""
        place = self._place(stamp)
        width, height = frame.width & ~1, frame.height & ~1
        converted = frame.format.name != "yuv420p" or (width, height) != (frame.width, frame.height)
        if converted:
            frame = frame.reformat(width=width, height=height, format="yuv420p")
        self._mask(frame, converted=converted)
        if self._use == "look":
            config, unit = CodecConfig(width=width, height=height, extradata=b""), self._empty(place)
        else:
            config, unit = self._encode(frame, place)
        # As small as it is looked at: a queue of whole pictures would be full within half a second.
        luma = None if self._use == "keep" else shrink(luma_plane(frame), width=LOOK_WIDTH)
        return Packet(config=config, unit=unit, at_us=place.at_us, duration_us=place.duration_us, luma=luma)

    def _mask(self, frame: av.VideoFrame, *, converted: bool) -> None:
        if not self._settings.masks:
            return
        masks, size = self._masks, (frame.width, frame.height, converted)
        if masks is None or (masks.width, masks.height, masks.converted) != size:
            masks = Masks(self._settings.masks, width=frame.width, height=frame.height, converted=converted)
            self._masks = masks
        masks.frame(frame)

    def _encode(self, frame: av.VideoFrame, place: Place) -> tuple[CodecConfig, AccessUnit]:
        encoder = self._encoder
        size = (frame.width, frame.height)
        if encoder is None or (encoder.config.width, encoder.config.height) != size:
            encoder = Encoder(width=size[0], height=size[1], fps=self._fps, settings=self._settings.encoder)
            self._encoder = encoder
        return encoder.config, encoder.encode_frame(frame, ticks=place.dts)

    def _empty(self, place: Place) -> AccessUnit:
        """Return an access unit of a picture that is looked at alone: its luma is what there is of it."""
        keyframe = self._keyframe_at is None or place.dts - self._keyframe_at >= _KEYFRAME_TICKS
        if keyframe:
            self._keyframe_at = place.dts
        return AccessUnit(dts=place.dts, pts=place.pts, keyframe=keyframe, data=b"")
