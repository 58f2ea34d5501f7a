"""What filming costs, against Debian's `motion` on the same film side by side, and against ffmpeg decoding alone.

    python -m tests.benchmarks.video [--json FILE] [--video FILE] [--runs N] [--seconds N]

Both play in real time at 15 frames a second, detect, and keep clips: ours a whole daemon that seals them, its children
included. CPU seconds are for 1,000 frames, medians over --runs (3). Without --video the busy film is made of Debian's
vtest.avi, in which somebody walks at every moment, so that one event is held all the time; in the film of comings and
goings somebody crosses every seven seconds, and in the quiet one nobody does: these two are drawn. ffmpeg runs
afterwards, by itself.
"""

import argparse
import logging
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from device.video.scene.file import parse_scene
from tests.benchmarks.harness import Row, against_goal, against_peer, main
from tests.benchmarks.processes import command_cpu_s, resident_mb
from tests.benchmarks.video_films import CROSSED, FPS, busy_film, quiet_film, resized, scene_film
from tests.benchmarks.video_paced import COPIED, ENCODED, Cost, Ours, Peer, contest
from tests.benchmarks.video_unpaced import growth_mb, split
from tests.conftest import need

RUNS = 3
SECONDS = 30
FRAMES = 900
HOUR_FRAMES = 54_000
MASKS = "[[[0.0, 0.0], [0.2, 0.0], [0.2, 0.3], [0.0, 0.3]]]"
LARGE, SMALL = (1280, 720), (640, 360)


def benchmark(arguments: argparse.Namespace) -> Sequence[Row]:
    """Run every contest several times, and take medians."""
    runs, seconds = arguments.runs or RUNS, arguments.seconds or SECONDS
    # What filming in this process says of events is not what is measured.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = folder / "large.mp4"
        if arguments.video:
            resized(Path(arguments.video), large, width=LARGE[0], height=LARGE[1])
        else:
            busy_film(large, frames=FRAMES, width=LARGE[0], height=LARGE[1])
        small = resized(large, folder / "small.mp4", width=SMALL[0], height=SMALL[1])
        crossed = scene_film(folder / "crossed.mp4", parse_scene(CROSSED, name="crossed"), frames=7 * FPS)
        quiet = quiet_film(folder / "quiet.mp4", frames=FRAMES, width=LARGE[0], height=LARGE[1])
        costs = _contests(
            {
                "busy": {
                    "ours": Ours(film=large),
                    "copied": Peer(film=large, size=LARGE, options=COPIED),
                    "encoded": Peer(film=large, size=LARGE, options=ENCODED),
                    "masked": Ours(film=large, settings={"PRIVACY_MASKS": MASKS}),
                },
                "small": {"ours": Ours(film=small), "copied": Peer(film=small, size=SMALL, options=COPIED)},
                "pair": {
                    "ours": Ours(film=large, settings={"DETECT_SOURCE": f"file:{small}"}),
                    "copied": Peer(
                        film=small, size=SMALL, options={**COPIED, "netcam_high_url": f"file://{large}"}
                    ),
                },
                "crossed": {"ours": Ours(film=crossed), "copied": Peer(film=crossed, size=LARGE, options=COPIED)},
                "quiet": {"ours": Ours(film=quiet), "copied": Peer(film=quiet, size=LARGE, options=COPIED)},
                "whole": {"ours": Ours(film=quiet, settings={"ECO": "false"})},
            },
            folder, runs=runs, seconds=seconds,
        )  # fmt: skip
        decode: list[str | Path] = [need("ffmpeg"), "-v", "error", "-threads", "1", "-i", large, "-f", "null", "-"]
        decoding_s = statistics.median(command_cpu_s(decode) for _ in range(runs)) * 1_000 / _frames_of(large)
        parts = [split(large) for _ in range(runs)]
        grown_mb = growth_mb(large, frames=HOUR_FRAMES, resident=lambda: resident_mb(os.getpid()))
    ours = costs["busy"]["ours"]
    record_s = statistics.median(part.record_s for part in parts)
    return [
        against_peer("1280x720 busy, motion pass-through", ours.cpu_s, costs["busy"]["copied"].cpu_s, 0.50),
        against_peer("1280x720 busy, motion with x264 movies", ours.cpu_s, costs["busy"]["encoded"].cpu_s, 0.35),
        against_peer("1280x720 busy, ffmpeg decoding only", ours.cpu_s, decoding_s, 0.80),
        _row("1280x720 comings and goings, motion pass-through", costs["crossed"], 0.50),
        against_peer(
            "1280x720 with a privacy mask, motion with x264 movies",
            costs["busy"]["masked"].cpu_s, costs["busy"]["encoded"].cpu_s, 0.70,
        ),
        _row("640x360, motion pass-through", costs["small"], 0.65),
        _row("detection on a 640x360 sub-stream, motion the same", costs["pair"], 0.55),
        _row("quiet 1280x720, eco, motion pass-through", costs["quiet"], 0.15),
        against_peer(
            "quiet 1280x720, without eco, the same", costs["whole"]["ours"].cpu_s, costs["quiet"]["copied"].cpu_s, 0.50
        ),
        against_peer(
            "sealing and keeping, filming", record_s, statistics.median(part.detect_s for part in parts), 0.03
        ),
        against_peer(
            "sealing and keeping, filming with every picture looked at",
            record_s, statistics.median(part.every_s for part in parts), 0.03,
        ),
        against_goal("memory of the 1280x720 daemon at its largest, labels' model aside, MB", ours.peak_mb, 90),
        against_goal("memory that filming and keeping gain over an hour of film, MB", grown_mb, 5),
    ]  # fmt: skip


def _row(name: str, costs: Mapping[str, Cost], goal: float) -> Row:
    return against_peer(name, costs["ours"].cpu_s, costs["copied"].cpu_s, goal)


def _contests(
    contests: Mapping[str, Mapping[str, Ours | Peer]], folder: Path, *, runs: int, seconds: float
) -> dict[str, dict[str, Cost]]:
    """Medians of every contender's cost over several runs of each contest."""
    found = {}
    for name, contenders in contests.items():
        each = [contest(contenders, folder / f"{name}-{run}", seconds=seconds) for run in range(runs)]
        found[name] = {
            one: Cost(
                *(
                    statistics.median(values)
                    for values in zip(*((run[one].cpu_s, run[one].peak_mb) for run in each), strict=True)
                )
            )
            for one in contenders
        }
    return found


def _frames_of(film: Path) -> int:
    import av  # noqa: PLC0415

    with av.open(str(film)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


if __name__ == "__main__":
    main(__doc__.splitlines()[0], benchmark, ("--video", str), ("--runs", int), ("--seconds", float))
