"""The peer: Debian's `motion`, which plays a file in real time; several at once, each a process of its own."""

import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import av

from tests.benchmarks.detection_films import Clip, Span
from tests.conftest import need

EVENT_GAP_S = 5
LATE_S = 20.0

# The best of those that were tried on other drawn scenes, before these were there.
TUNED = {
    "threshold": "300",
    "noise_level": "16",
    "minimum_motion_frames": "2",
    "lightswitch_percent": "15",
    "lightswitch_frames": "8",
}
DEFAULTS: dict[str, str] = {}
COMMON = {
    "daemon": "off",
    "setup_mode": "off",
    "log_level": "6",
    "event_gap": str(EVENT_GAP_S),
    "pre_capture": "0",
    "post_capture": "0",
    "picture_output": "off",
    "movie_output": "off",
    "webcontrol_port": "0",
    "stream_port": "0",
}


@dataclass
class _Heard:
    """What one process said, and when."""

    connected_s: float | None = None
    lines: deque[tuple[float, str]] = field(default_factory=deque)
    ready: threading.Event = field(default_factory=threading.Event)


def motion_events(films: Sequence[tuple[Clip, dict[str, str]]], *, at_once: int = 10) -> list[list[Span]]:
    """Events of each clip, as `motion` with the options beside it sees them."""
    motion = need("motion")
    with ThreadPoolExecutor(at_once) as pool:
        # The longest first, so that no one waits for it alone at the end.
        longest = sorted(films, key=lambda film: -film[0].duration_s)
        found = {id(film): pool.submit(_watched, motion, *film) for film in longest}
        return [found[id(film)].result() for film in films]


def _watched(motion: str, clip: Clip, options: dict[str, str]) -> list[Span]:
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "motion.conf"
        config.write_text("".join(f"{key} {value}\n" for key, value in _config(clip, options, name).items()))
        command = ["nice", "-n", "5", motion, "-n", "-c", str(config)]
        process = subprocess.Popen(command, cwd=name, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        heard = _Heard()
        reader = threading.Thread(target=_listen, args=(process, heard), daemon=True)
        reader.start()
        try:
            if not heard.ready.wait(LATE_S) or heard.connected_s is None:
                raise RuntimeError(f"motion did not open {clip.path}")
            time.sleep(max(0.0, heard.connected_s + clip.duration_s - time.monotonic()))
            said, connected_s = list(heard.lines), heard.connected_s
        finally:
            process.kill()
            process.wait()
            reader.join(LATE_S)
    return _events(said, connected_s, clip)


def _config(clip: Clip, options: dict[str, str], folder: str) -> dict[str, str]:
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        size = {"width": str(stream.width), "height": str(stream.height)}
    where = {"target_dir": folder, "netcam_url": f"file://{clip.path}", "framerate": str(max(2, round(clip.fps)))}
    return {**COMMON, **where, **size, **options}


def _listen(process: subprocess.Popen[str], heard: _Heard) -> None:
    for line in process.stderr or ():
        now_s = time.monotonic()
        if "netcam_rtsp_connect" in line and heard.connected_s is None:
            heard.connected_s = now_s
            heard.ready.set()
        elif "starting event" in line or "End of event" in line:
            heard.lines.append((now_s, line))
    heard.ready.set()


def _events(said: list[tuple[float, str]], connected_s: float, clip: Clip) -> list[Span]:
    found: list[Span] = []
    start_s: float | None = None
    for at_s, line in said:
        if "starting event" in line:
            start_s = at_s - connected_s
        elif start_s is not None:
            found.append(Span(start_s, max(start_s, at_s - connected_s - EVENT_GAP_S)))
            start_s = None
    if start_s is not None:
        found.append(Span(start_s, clip.duration_s))
    return [span for span in found if span.start_s < clip.duration_s]
