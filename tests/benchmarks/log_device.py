"""What the public log costs a device: reading it, keeping what it teaches, and judging what is announced.

    python -m tests.benchmarks.log_device [--json FILE] [--entries N]

The log has a witness and a mirror, forty agencies, an entry each five minutes: nine requests, each of another case, and
an update of the last of them. Reading is done by a process of its own, whose largest resident set is taken; the log's
files lie on disk. What is kept of each entry grows less with the log: most of it are requests of the last six weeks.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from broker.wire.envelopes import public_bytes
from broker.wire.merkle import leaf_hash
from broker.wire.proofs import parse_policy
from broker.wire.rules import DAY_US, MINUTE_US
from broker.wire.tiles import TILE_WIDTH, Tile, encode_entries
from device.consent.reading.edge import ahead, planned_end, tile_reader, tiles_for
from device.consent.reading.follower import Follower
from device.consent.trust import Trust
from device.vault.state import State
from tests.benchmarks.harness import Row, against_goal, main
from tests.simulators import NOW_US, LogSimulator, NeighbourhoodSimulator

ENTRIES = 100_000
AGENCIES = 40
STEP_US = 5 * MINUTE_US  # between entries, so that requests end while others are posted, as they do
UPDATE_EACH = 10
VERIFY_MS_GOAL = 1.0
READ_S_GOAL = 90.0
GROWN_MB_GOAL = 24.0
KEPT_BYTES_GOAL = 64.0
JUDGED = 200
CHUNK = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a log took: CPU seconds, how much the process grew (MB), and what its state holds then (bytes)."""

    cpu_s: float
    grown_mb: float
    kept_bytes: int
    entries: int


def make_log(folder: Path, entries: int) -> NeighbourhoodSimulator:
    """Write a log's bundles, tiles, head and policy into a folder."""
    hood = NeighbourhoodSimulator(log=LogSimulator(witnesses=1, mirrors=1))
    log = hood.log
    names = [f"agency-{number}" for number in range(AGENCIES)]
    for name in names:
        log.append(hood.agency.model_copy(update={"agency": name}).sign(hood.operator))
    while len(log.entries) < entries:
        number = len(log.entries)
        posted = NOW_US - (entries - number) * STEP_US
        if number % UPDATE_EACH == 0 and number > AGENCIES + 1:
            hood.now_us = posted
            hood.update(leaf_hash(log.entries[-1]).hex(), "withdrawn", agency=names[(number - 1) % AGENCIES])
            continue
        moved = {"start": posted - 60 * MINUTE_US, "end": posted - MINUTE_US, "posted_at": posted}
        who = names[number % AGENCIES]
        request = hood.request(agency=who, case=f"case {number}", expires_at=posted + 14 * DAY_US, **moved)
        log.append(request.sign(hood.agency_key))
    hood.now_us = NOW_US
    for level in range(3):
        for index in range((entries >> 8 * level) // TILE_WIDTH + 1):
            _write(folder, log, Tile(level, index, min(TILE_WIDTH, (entries >> 8 * level) - index * TILE_WIDTH)))
    for index in range(-(-entries // TILE_WIDTH)):
        first = index * TILE_WIDTH
        path = folder / Tile("entries", index).path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_entries(log.entries[first : first + TILE_WIDTH]))
    (folder / "head").write_bytes(log.head())
    (folder / "policy").write_text(log.policy_text)
    (folder / "operator").write_bytes(public_bytes(hood.operator))
    return hood


def follow(folder: Path, state: State) -> Follower:
    """Return a follower of the log in a folder."""
    return Follower(
        state,
        policy=parse_policy((folder / "policy").read_text()),
        operator_key=(folder / "operator").read_bytes(),
        now_us=lambda: NOW_US,
        max_age_us=DAY_US,
    )


def read_all(folder: Path, home: Path) -> Reading:
    """Read the log in a folder as a device does that joins late: planned by tiles, sixteen bundles at a time."""
    with State.open(home / "state.db") as state:
        follower = follow(folder, state)
        before_mb, began_s = _peak_mb(), time.process_time()
        head = follower.hear((folder / "head").read_bytes(), own=True).more
        if head is None:
            raise SystemExit("the benchmark's own log was refused")
        while follower.size < head.size:
            tiles = tiles_for(ahead(follower.size, head.size), size=head.size)
            files = {tile: (folder / tile.path).read_bytes() for tile in tiles}
            plan = follower.plan(head, tile_reader(files, size=head.size))
            if plan is None:
                raise SystemExit("the benchmark's own tiles lead nowhere")
            bundles = range(follower.size // TILE_WIDTH, -(-planned_end(follower.size, head.size) // TILE_WIDTH))
            for first in range(bundles.start, bundles.stop, CHUNK):
                chunk = [_entries(folder, index) for index in range(first, min(bundles.stop, first + CHUNK))]
                follower.take(head, chunk, plan)
        cpu_s = time.process_time() - began_s
        ((pages, size),) = state.query("SELECT * FROM pragma_page_count(), pragma_page_size()")
        return Reading(cpu_s, _peak_mb() - before_mb, pages * size, follower.size)


def judged_ms(folder: Path, home: Path, hood: NeighbourhoodSimulator) -> float:
    """Return the median of judging announced requests, each for the first time, after a log was read."""
    with State.open(home / "state.db") as state:
        follower = follow(folder, state)
        trust = Trust(policy=hood.log.policy, view=follower)
        indices = [
            number for number in range(follower.size - 1_000, follower.size) if number % UPDATE_EACH not in {0, 9}
        ]
        payloads = [hood.log.logged(number).encode() for number in indices[-JUDGED:]]
        times = []
        for payload in payloads:
            began_s = time.perf_counter()
            trust.verify(payload)
            times.append(time.perf_counter() - began_s)
        return statistics.median(times) * 1_000


def device_rows(entries: int = ENTRIES) -> list[Row]:
    """Return the rows of a device: judging an announcement, and reading the log of so many entries."""
    with tempfile.TemporaryDirectory() as name:
        folder, home = Path(name) / "log", Path(name) / "home"
        hood = make_log(folder, entries)
        command = [sys.executable, "-m", "tests.benchmarks.log_device", "--read", str(folder), "--home", str(home)]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        reading = Reading(**told)
        share = entries / ENTRIES
        judging_ms = judged_ms(folder, home, hood)
        return [
            against_goal("device verification of an announced request, ms", judging_ms, VERIFY_MS_GOAL),
            against_goal(f"a device reads {entries:,} entries, CPU s", reading.cpu_s, READ_S_GOAL * share),
            against_goal("and grows meanwhile by, MB", reading.grown_mb, GROWN_MB_GOAL),
            against_goal("and keeps of each entry, bytes", reading.kept_bytes / reading.entries, KEPT_BYTES_GOAL),
        ]


def benchmark(arguments: argparse.Namespace) -> Sequence[Row]:
    """Measure."""
    return device_rows(arguments.entries or ENTRIES)


def _write(folder: Path, log: LogSimulator, tile: Tile) -> None:
    data = log.file(tile.path) if tile.width else None
    if data:
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _entries(folder: Path, index: int) -> list[bytes]:
    data, found, at = (folder / Tile("entries", index).path).read_bytes(), [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        found.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def _peak_mb() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1_024


if __name__ == "__main__":
    if "--read" in sys.argv:
        flags = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
        found = read_all(Path(flags["--read"]), Path(flags["--home"]))
        print(json.dumps({name: getattr(found, name) for name in ("cpu_s", "grown_mb", "kept_bytes", "entries")}))
    else:
        main(__doc__.splitlines()[0], benchmark, ("--entries", int))
