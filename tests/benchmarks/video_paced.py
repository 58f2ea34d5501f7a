"""Contenders that watch a film in real time: a real daemon of ours, and Debian's `motion`, each a process of its own.

All of one contest run side by side, at 15 frames a second, over and over. What is counted is the CPU time of each over
the same minute or so of a camera's day: start-up, which happens once, is not.
"""

import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.processes import cpu_s, peak_mb
from tests.benchmarks.video_films import FPS
from tests.conftest import need
from tests.neighbourhood.support import Parties

# The first seconds are start-up, and getting to know the film.
_LEAD_IN_S = 8.0
_MOTION = {
    "daemon": "off", "setup_mode": "off", "log_level": "5", "framerate": str(FPS), "threshold": "1500",
    "despeckle_filter": "EedDl", "minimum_motion_frames": "1", "event_gap": "5", "pre_capture": "3",
    "picture_output": "off", "webcontrol_port": "0", "stream_port": "0",
}  # fmt: skip
COPIED = {"movie_output": "on", "movie_passthrough": "on"}
ENCODED = {"movie_output": "on", "movie_passthrough": "off"}


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds for 1,000 frames, and the largest resident set in MB."""

    cpu_s: float
    peak_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """A daemon at home, without a broker; `settings` are LATCHSTRING_CAMERA__ variables without their beginning."""

    film: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def start(self, folder: Path, stack: ExitStack) -> int:
        parties = Parties(folder)
        stack.callback(parties.stop_all)
        parties.start_owner()
        parties.run(
            "device", "init", "--home", str(folder / "home"), "--owner", str(folder / "owner.pub.json"),
            "--name", "porch", "--source", f"file:{self.film}", "--lat", "52.52", "--lon", "13.405",
        )  # fmt: skip
        variables = {f"LATCHSTRING_CAMERA__{key}": value for key, value in self.settings.items()}
        parties.serve("porch", "device", "run", "--home", str(folder / "home"), **variables)
        return parties.running["porch"].pid


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """`motion` on a file, with its detection and with movies as `options` say."""

    film: Path
    size: tuple[int, int]
    options: Mapping[str, str]

    def start(self, folder: Path, stack: ExitStack) -> int:
        config = folder / "motion.conf"
        size = {"width": str(self.size[0]), "height": str(self.size[1])}
        where = {"target_dir": str(folder), "netcam_url": f"file://{self.film}"}
        options = {**_MOTION, **where, **size, **self.options}
        config.write_text("".join(f"{key} {value}\n" for key, value in options.items()))
        process = subprocess.Popen(
            [need("motion"), "-n", "-c", config], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process.pid


def contest(contenders: Mapping[str, Ours | Peer], folder: Path, *, seconds: float) -> dict[str, Cost]:
    """Run all side by side for so many seconds; returns what each cost, by its name."""
    with ExitStack() as stack:
        pids = {}
        for name, contender in contenders.items():
            (folder / name).mkdir(parents=True)
            pids[name] = contender.start(folder / name, stack)
        time.sleep(_LEAD_IN_S)
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        frames = seconds * FPS
        return {name: Cost((cpu_s(pid) - before[name]) * 1_000 / frames, peak_mb(pid)) for name, pid in pids.items()}
