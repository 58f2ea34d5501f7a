"""What one device costs: a real daemon films 1,000 frames of 1280x720, detects, records and seals, in real time.

    python -m tests.benchmarks.device [--json FILE] [--video FILE]

The peer is `ffmpeg -threads 1` decoding the same file and doing nothing else. CPU seconds are the processes' own, from
the moment the device is ready. Without --video, the film is made of Debian's vtest.avi: real people, walking.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.harness import Row, against_goal, against_peer, main, median_of
from tests.conftest import need
from tests.neighbourhood.support import Parties
from tests.video.measure_cpu import make_film

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one device process: CPU seconds for 1,000 frames, and its largest resident set in MB."""

    cpu_s: float
    peak_mb: float


def device_cost(video: Path, folder: Path) -> Cost:
    """Run a daemon on a film, once through."""
    parties = Parties(folder)
    try:
        parties.start_hood()
        parties.start_owner()
        parties.make_device("porch", source=f"file:{video}")
        parties.start_device("porch", LATCHSTRING_NEIGHBOURHOOD__CONSIDER_EVERY_S="5")  # as it is by default
        pid = parties.running["porch"].pid
        ready_s = _cpu_s(pid)
        while parties.status("porch")["filming"]["state"] in {"starting", "running"}:
            time.sleep(0.5)
        status = parties.status("porch")
        spent_s, peak_mb = _cpu_s(pid) - ready_s, _peak_mb(pid)
        assert status["kept"]["segments"] > 0, "nothing was recorded"
        return Cost(spent_s * 1_000 / status["filming"]["frames"], peak_mb)
    finally:
        parties.stop_all()


def ffmpeg_cost(video: Path) -> float:
    """CPU seconds for 1,000 frames, decoding alone."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([need("ffmpeg"), "-v", "error", "-threads", "1", "-i", video, "-f", "null", "-"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def import_s() -> float:
    """Seconds of wall time for `latchstring --version`."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-P", "-m", "device", "--version"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def benchmark(arguments: argparse.Namespace) -> Sequence[Row]:
    """Measure, the peer in the same run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = Path(arguments.video).resolve() if arguments.video else make_film(folder / "film.mp4")
        cost = device_cost(video, folder)
        decoding_s = median_of(3, lambda: ffmpeg_cost(video))
    return [
        against_peer("CPU s for 1,000 frames, against ffmpeg decoding", cost.cpu_s, decoding_s, 2.0),
        against_goal("memory of one device process, MB", cost.peak_mb, 150),
        against_goal("start of the command line, s", median_of(5, import_s), 0.3),
    ]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak_mb(pid: int) -> float:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1_024


if __name__ == "__main__":
    main(__doc__.splitlines()[0], benchmark, ("--video", str))
