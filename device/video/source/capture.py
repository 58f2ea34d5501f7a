"""Where pictures come from: the address of a source, its settings, and the one interface that all of them have."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

from device.video.codec.encoder import EncoderSettings
from device.video.errors import SceneError, SourceError
from device.video.packets import Packet, Ring, Watched
from device.video.scene.file import builtin_scene
from device.video.zones import Polygon

SourceKind = Literal["file", "scene", "rtsp", "v4l2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """A source's address: what kind, and a path or URL. `shown` is fit for logs: without a password."""

    kind: SourceKind
    location: str = field(repr=False)

    @property
    def live(self) -> bool:
        """Whether it is a camera, which gives pictures in its own time and may come back after it went."""
        return self.kind in ("rtsp", "v4l2")

    @property
    def shown(self) -> str:
        """The address as it may stand in a log; of a camera's URL scheme, host and port alone.

        Cameras take names and passwords before the host, in the query, and some of them in the path.
        """
        if self.kind != "rtsp":
            return f"{self.kind}:{self.location}"
        parts = urlsplit(self.location)
        # An unquoted / ? or # in a password ends the host early, for every reader of addresses: what is left has an @.
        whole = "@" not in f"{parts.path}{parts.query}{parts.fragment}"
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2] if whole else '…'}"


Item = Packet | Watched | Ring


@dataclass(frozen=True, slots=True, kw_only=True)
class V4l2Settings:
    """What to ask of a V4L2 device, in its driver's words (`v4l2-ctl --list-formats-ext`); None leaves it the choice.

    `input_format`: "mjpeg", "yuyv422", "h264" and so on; `size` in pixels, width first.
    """

    input_format: str | None = None
    size: tuple[int, int] | None = None
    fps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """How sources are read.

    `loop`: begin a file or scene again at its end. `seed`: of a scene. `stall_s`: a camera silent for so long is
    lost. `queue_bytes`: what a camera may be ahead of us, for each of its streams, before groups of pictures are
    dropped.

    `detect`: a second, smaller stream of the same view, which alone is looked at; the source itself is then only kept.
    `masks`: what is black in every picture, of both, before it is kept or looked at. A source with masks is decoded and
    encoded anew, whatever it gives: its own packets hold what is behind the mask.
    """

    loop: bool = False
    seed: int = 0
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    detect: SourceSpec | None = None
    masks: tuple[Polygon, ...] = ()
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    v4l2: V4l2Settings = field(default_factory=V4l2Settings)
    open_timeout_s: float = 8.0
    stall_s: float = 8.0
    queue_bytes: int = 12_000_000


class Source(Protocol):
    """Something that gives packets in decoding order, rings among them. Not paced: a file gives as fast as it is asked.

    With a detection stream its packets come as `Watched`, and those to be kept as `Packet` without luma. Wall-clock
    times never run backwards within one stream of a source.
    """

    @property
    def dropped(self) -> int:
        """Packets lost so far: damaged, before the first keyframe, or because nobody took them in time."""
        ...

    def items(self) -> Iterator[Item | None]:
        """Give what comes next; None where a camera has nothing for now, so that the caller may look about.

        Ends where a file or scene does. SourceError: can't be used. SourceVanishedError: a camera that went away.
        """
        ...

    def close(self) -> None:
        """Let go of the device or file; `items` ends soon after. May be called twice, and from another thread."""
        ...


def parse_source(text: str, *, base: Path | None = None) -> SourceSpec:
    """Return the source that a setting names.

    `file:PATH`, `scene:NAME` or `scene:PATH.toml`, `rtsp://…`, `v4l2:DEVICE`; relative paths are taken from `base`.
    SourceError if it is none of these, or names a scene that there isn't; it shows no login.
    """
    kind, colon, rest = text.partition(":")
    kind = kind.lower()
    if kind in ("rtsp", "rtsps"):
        return SourceSpec(kind="rtsp", location=_rtsp(f"{kind}:{rest}"))
    if not colon or kind not in ("file", "scene", "v4l2"):
        raise SourceError(
            source=_without_login(text),
            reason="is no source; use file:PATH, scene:NAME, rtsp://HOST/PATH or v4l2:DEVICE",
        )
    if not rest or "\0" in rest:
        raise SourceError(source=_without_login(text), reason=f"says nothing after {kind}:")
    if kind == "v4l2":
        device = f"/dev/video{rest}" if rest.isascii() and rest.isdigit() else rest
        return SourceSpec(kind="v4l2", location=device)
    path = (base or Path()) / Path(rest).expanduser()
    if kind == "file":
        return SourceSpec(kind="file", location=str(path))
    if "/" in rest or rest.endswith(".toml"):
        return SourceSpec(kind="scene", location=str(path))
    try:
        return SourceSpec(kind="scene", location=str(builtin_scene(rest)))
    except SceneError as error:
        raise SourceError(source=text, reason=error.reason) from error


def _rtsp(text: str) -> str:
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
    if not named:
        raise SourceError(source="rtsp", reason="the address needs a host, as in rtsp://camera.local/stream")
    return text


def _without_login(text: str) -> str:
    """Return what was taken for an address without what stands before an @ or behind a ?."""
    _, at, behind = text.rpartition("@")
    return ("…@" if at else "") + behind.partition("?")[0]
