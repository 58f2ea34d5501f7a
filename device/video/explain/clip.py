"""The second way through a film: every picture in colour, drawn upon, into an MP4 file; some kept for the sheet."""

import contextlib
from collections.abc import Collection, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

import av
import av.error
import cv2
import numpy as np
from av.container import OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from device.video.errors import VideoError
from device.video.explain.account import Account
from device.video.explain.draw import Annotator, matter
from device.video.explain.pen import FAINT, INK, Image, fitted, paper, write
from device.video.explain.run import Explained, Progress, film_packets
from device.video.explain.timeline import HEIGHT, KEY_HEIGHT, Timeline, legend_width, write_key, write_legend
from device.video.faults import reason_of
from device.video.film_settings import FilmSettings
from device.video.packets import TICKS_PER_S, CodecConfig, Packet, ticks_from_us
from device.video.source.capture import SourceSpec

WIDTH: Final = 960
_MOST_HEIGHT: Final = 720
KEPT_WIDTH: Final = 360
_HEAD: Final = 34
_FOOT: Final = 8
_PAGE_US: Final = 60_000_000
_MAX_HELD: Final = 64


class ClipError(VideoError):
    """The clip can't be written; the message says why."""


def explain_clip(
    spec: SourceSpec,
    settings: FilmSettings,
    explained: Explained,
    path: Path,
    *,
    keep: Collection[int],
    progress: Progress,
) -> dict[int, Image]:
    """Write the clip; gives the pictures of the moments `keep` (wall clock), KEPT_WIDTH wide, undrawn, blue first.

    As many pictures as the film has that can be decoded. SourceError: the film is gone. ClipError: the file can't be
    written.
    """
    account = explained.account
    kept: dict[int, Image] = {}
    page = _Page(account, explained.config, settings)
    with _Writer(path, account, width=WIDTH, height=page.height) as writer:
        for frame, at_us in _frames(spec, settings):
            number = account.at(at_us)
            if number is None:
                continue
            if at_us in keep and at_us not in kept:
                kept[at_us] = _scaled(frame, KEPT_WIDTH, max(2, round(KEPT_WIDTH * frame.height / frame.width)))
            writer.add(page.draw(frame, number), at_us)
            progress(account.seconds(at_us))
    return kept


class _Page:
    """One picture of the clip: the film's, and the lanes below it."""

    def __init__(self, account: Account, config: CodecConfig, settings: FilmSettings) -> None:
        self._account = account
        self._post_roll_s = settings.recorder.post_roll_s
        scale = min(WIDTH / config.width, _MOST_HEIGHT / config.height)
        self._size = (round(config.width * scale), round(config.height * scale))
        self._left = (WIDTH - self._size[0]) // 2
        self.height = (self._size[1] + _HEAD + HEIGHT + KEY_HEIGHT + _FOOT + 1) & ~1
        self._annotator = Annotator(account, masks=settings.capture.masks, width=self._size[0], height=self._size[1])
        span_us = max(1, account.end_us - account.start_us)
        self._pages = -(-span_us // _PAGE_US)
        self._page_us = -(-span_us // self._pages)
        # Drawn upon again and again: a new one for each picture would take as long as the rest.
        self._sheet = paper(self.height, WIDTH)
        self._sheet[: self._size[1]] = (28, 26, 24)
        write_key(self._sheet, (12, self._size[1] + _HEAD + HEIGHT + 14))
        self._blank = paper(_HEAD, WIDTH)
        self._turned: int | None = None
        self._timeline: Timeline | None = None

    def draw(self, frame: av.VideoFrame, number: int) -> Image:
        account = self._account
        at_us = account.pictures[number].at_us
        width, height = self._size
        sheet = self._sheet
        picture = _muted(_scaled(frame, width, height))
        self._annotator.draw(picture, number)
        sheet[:height, self._left : self._left + width] = picture
        timeline = self._lanes(at_us)
        sheet[height : height + _HEAD] = self._blank
        words, colour = matter(account, number, post_roll_s=self._post_roll_s)
        base = height + 22
        cv2.circle(sheet, (17, base - 5), 6, colour, cv2.FILLED, cv2.LINE_AA)
        room = WIDTH - 30 - legend_width() - 24
        write(sheet, fitted(words, room, size=0.48), (32, base), size=0.48, colour=INK)
        write_legend(sheet, (WIDTH - 14, base))
        lanes = sheet[height + _HEAD : height + _HEAD + HEIGHT]
        lanes[:] = timeline.image
        x = timeline.x(at_us)
        cv2.line(lanes, (x, 0), (x, HEIGHT - 22), INK, 1)
        if self._pages > 1:
            # Each time on the lanes' empty lower corner, which was just drawn anew.
            text = f"part {(self._turned or 0) + 1} of {self._pages}"
            write(sheet, text, (10, height + _HEAD + HEIGHT - 6), size=0.36, colour=FAINT)
        return sheet

    def _lanes(self, at_us: int) -> Timeline:
        """Lanes of the part of the film that a moment is in; turned like a page, not scrolled."""
        page = min(self._pages - 1, max(0, (at_us - self._account.start_us) // self._page_us))
        if self._timeline is None or page != self._turned:
            from_us = self._account.start_us + page * self._page_us
            self._timeline = Timeline(self._account, from_us=from_us, to_us=from_us + self._page_us, width=WIDTH)
            self._turned = page
        return self._timeline


class _Writer:
    """An MP4 file in the making; each picture at its own time."""

    def __init__(self, path: Path, account: Account, *, width: int, height: int) -> None:
        self._path = path
        self._start_us = account.start_us
        self._last: int | None = None
        self._durations: dict[int, int] = {}
        times = [picture.at_us for picture in account.pictures]
        steps = sorted(after - before for before, after in pairwise(times) if after > before)
        usual_us = steps[len(steps) // 2] if steps else 40_000
        self._usual = max(1, ticks_from_us(usual_us))
        self._size = (width, height)
        self._rate = Fraction(TICKS_PER_S, self._usual).limit_denominator(1_000)

    def __enter__(self) -> Self:
        with _writing(self._path):
            # A relative path with a colon in it would be taken for a protocol.
            name = str(self._path.absolute())
            self._container: OutputContainer = av.open(name, "w", format="mp4", options={"movflags": "faststart"})
            stream = self._container.add_stream("libx264", rate=self._rate)
            stream.width, stream.height = self._size
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
            stream.codec_context.thread_count = 1
            stream.codec_context.max_b_frames = 0
            stream.codec_context.gop_size = max(1, round(2 * self._rate))
            stream.options = {"preset": "veryfast", "crf": "23", "tune": "animation"}
            self._stream = stream
        return self

    def add(self, image: Image, at_us: int) -> None:
        """Write the next picture."""
        ticks = ticks_from_us(at_us - self._start_us)
        if self._last is not None:
            ticks = max(ticks, self._last + 1)
        self._last = ticks
        frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
        frame.pts, frame.time_base = ticks, Fraction(1, TICKS_PER_S)
        with _writing(self._path):
            self._mux(self._stream.encode(frame))

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with _writing(self._path):
            try:
                if kind is None:
                    self._mux(self._stream.encode(None))
            finally:
                self._container.close()

    def _mux(self, packets: "list[av.Packet[VideoStream]]") -> None:
        for packet in packets:
            packet.duration = self._usual
            self._container.mux(packet)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make of what goes wrong in here that the file can't be written."""
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        raise ClipError(f"{path} can't be written: {reason_of(error)}") from error


def _frames(spec: SourceSpec, settings: FilmSettings) -> Iterator[tuple[av.VideoFrame, int]]:
    """Give every picture of a film as it is shown, with its wall clock; what can't be decoded is left out."""
    decoder: _Decoder | None = None
    config: CodecConfig | None = None
    for item in film_packets(spec, settings):
        if not isinstance(item, Packet):
            continue
        if decoder is None or item.config != config:
            if decoder is not None:
                yield from decoder.drain()
            decoder, config = _Decoder(item.config), item.config
        yield from decoder.decode(item)
    if decoder is not None:
        yield from decoder.drain()


class _Decoder:
    """Decodes packets of one configuration whole, for the eye."""

    def __init__(self, config: CodecConfig) -> None:
        self._context = av.CodecContext.create(config.codec, "r")
        self._context.extradata = config.extradata
        self._context.thread_count = 1
        self._at_us: dict[int, int] = {}

    def decode(self, packet: Packet) -> Iterator[tuple[av.VideoFrame, int]]:
        coded = av.Packet(packet.unit.data)
        coded.time_base = Fraction(1, TICKS_PER_S)
        coded.dts, coded.pts = packet.unit.dts, packet.unit.pts
        self._at_us[packet.unit.pts] = packet.at_us
        if len(self._at_us) > _MAX_HELD:
            del self._at_us[next(iter(self._at_us))]
        yield from self._pictures(coded, packet.at_us)

    def drain(self) -> Iterator[tuple[av.VideoFrame, int]]:
        yield from self._pictures(None, max(self._at_us.values(), default=0))

    def _pictures(self, coded: "av.Packet[Stream] | None", at_us: int) -> Iterator[tuple[av.VideoFrame, int]]:
        try:
            frames = self._context.decode(coded)
        except av.error.FFmpegError:
            return  # the watcher has told of it; the clip has a picture less
        for frame in frames:
            yield frame, self._at_us.pop(frame.pts, at_us) if frame.pts is not None else at_us


def _scaled(frame: av.VideoFrame, width: int, height: int) -> Image:
    image = np.asarray(frame.reformat(width=width, height=height, format="bgr24").to_ndarray(), dtype=np.uint8)
    return image if image.flags.writeable else image.copy()


def _muted(image: Image) -> Image:
    """Take half the colour out, so that what is drawn stands out."""
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return np.asarray(cv2.addWeighted(image, 0.45, gray, 0.55, 0), dtype=np.uint8)
