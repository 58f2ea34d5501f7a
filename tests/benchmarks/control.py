"""What it takes to get footage out of a daemon, still sealed: over the control socket, as the owner's tools do.

    python -m tests.benchmarks.control [--json FILE]

A clip of 60 segments of 250 KB in one exchange; the same a segment at a time, as its peer; the fullest day that is
told, in a ring that holds thirty of them; and for how long the daemon's loop, which its links share, was held up
meanwhile, 99 times in 100. Milliseconds, medians where nothing else is said; the caller is a process of its own.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from broker import logs
from broker.wire.rules import DAY_US
from device import keeper
from device.control import SOCKET_NAME, ControlClient, ControlServer
from device.eventlog import EventLog
from device.operations.footage import MOST_EVENTS, FootageOperations
from device.vault.clipring import ClipRing
from device.vault.keys import DeviceKey
from device.vault.seals import CaptureChain
from device.vault.state import State
from tests.benchmarks.harness import Row, against_goal, against_peer, main

START_US = 1_770_000_000_000_000
SECOND_US = 1_000_000
SEGMENTS, SEGMENT_BYTES = 60, 250_000
DAYS = 30
RUNS = 15


def benchmark(arguments: argparse.Namespace) -> Sequence[Row]:
    """Measure and return the rows."""
    del arguments
    logs.configure()
    with tempfile.TemporaryDirectory() as name, State.open(Path(name) / "state.db", schemas=[keeper.SCHEMA]) as state:
        folder = Path(name)
        ring = ClipRing(
            folder / "clips", state, device="porch", max_bytes=1 << 40, max_age_s=1e9, pinned_share=0.3,
            clock=lambda: START_US,
        )  # fmt: skip
        _film(ring, CaptureChain(state, DeviceKey.generate(), device="porch", camera="main"))
        _live(state)
        took, held_ms = asyncio.run(_served(folder, FootageOperations(ring, EventLog(state))))
    return [
        against_goal("a clip in one exchange", took["run"], 60),
        against_peer("a clip in one exchange, to a segment at a time", took["run"], took["single"], 1),
        against_goal("the fullest day", took["day"], 200),
        against_goal("the loop held up, 99 in 100", held_ms, 20),
    ]


def _film(ring: ClipRing, chain: CaptureChain) -> None:
    ring.begin("clip", camera="main", start_us=START_US, event="event", kind="motion")
    for number in range(SEGMENTS):
        start_us = START_US + number * SECOND_US
        facts: dict[str, Any] = {"start_us": start_us, "duration_us": SECOND_US, "sha256": "0" * 64}
        ring.append_segment("clip", os.urandom(SEGMENT_BYTES), statement=chain.sign(**facts), **facts)
    ring.end("clip", end_us=START_US + SEGMENTS * SECOND_US)


def _live(state: State) -> None:
    """Index the events and clips of full days, before that of the clip."""
    starts = [START_US - DAYS * DAY_US + number * DAY_US // MOST_EVENTS for number in range(DAYS * MOST_EVENTS)]
    with state.transaction() as tx:
        tx.execute_many(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(f"e{at}", "motion", at, at + 5 * SECOND_US, 50, f"c{at}", None, None) for at in starts],
        )
        tx.execute_many(
            "INSERT INTO clips VALUES (?, 'porch', 'main', ?, 'motion', '[]', ?, ?, ?, 1000, -1)",
            [(f"c{at}", f"e{at}", at, at + 8 * SECOND_US, at + 8 * SECOND_US) for at in starts],
        )
        tx.execute_many("INSERT INTO records VALUES (?, 100, 10, 3, ?, 0)", [(f"c{at}", at) for at in starts])


async def _served(folder: Path, footage: FootageOperations) -> tuple[dict[str, float], float]:
    """Serve a caller; return what it measured, and for how long the loop was held up."""
    handlers = {name: getattr(footage, name) for name in footage.NAMES}
    async with ControlServer(folder / SOCKET_NAME, handlers, refusals=()).running():
        held: list[float] = []
        watch = asyncio.create_task(_watch(held))
        caller = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.benchmarks.control", "--call", str(folder), stdout=asyncio.subprocess.PIPE
        )
        told, _ = await caller.communicate()
        watch.cancel()
        return json.loads(told), 1_000 * sorted(held)[len(held) * 99 // 100]


async def _watch(held_s: list[float]) -> None:
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(0.001)
        held_s.append(time.perf_counter() - begun - 0.001)


def call(folder: Path) -> dict[str, float]:
    """Measure from the caller's side."""
    client = ControlClient(folder)
    from_us, until_us = START_US - DAY_US, START_US - 1
    return {
        "run": _median_ms(lambda: client.exchange("read_segments", clip="clip", first=0, count=SEGMENTS)),
        "single": _median_ms(
            lambda: [client.exchange("read_segment", clip="clip", number=number) for number in range(SEGMENTS)]
        ),
        "day": _median_ms(lambda: client.call("day", from_us=from_us, until_us=until_us)),
    }


def _median_ms(measured: Callable[[], object]) -> float:
    took = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        measured()
        took.append(1_000 * (time.perf_counter() - begun))
    return statistics.median(took)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--call"]:
        print(json.dumps(call(Path(sys.argv[2]))))
    else:
        main(__doc__ or "", benchmark)
