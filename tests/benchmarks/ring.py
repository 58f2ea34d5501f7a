"""What keeping costs: the clip ring on a real disk, a segment at a time, each on disk when its append returns.

    python -m tests.benchmarks.ring [--json FILE] [--folder FOLDER]

Peers, in the same run and on the same disk: a plain append with fdatasync, which is the floor; pyrage for sealing; a
row of SQLite as the device's state keeps it. `--folder`: where to write, by default a temporary folder.
Times are CPU milliseconds of this process unless said otherwise, medians; a segment is 15 access units.
"""

import argparse
import logging
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyrage

from broker import logs
from broker.wire.segments import WireAccessUnit, encode_segment, segment_digest
from device.vault.clipfile import Header, RecordType, SegmentMeta, encode_end, encode_record
from device.vault.clipring import ClipRing
from device.vault.keys import DeviceKey
from device.vault.sealing import new_identity, recipient_of, seal
from device.vault.seals import CaptureChain, Chains
from device.vault.state import State
from tests.benchmarks.harness import Row, against_goal, against_peer, main
from tests.conftest import need

T = TypeVar("T")
START_US = 1_770_000_000_000_000
SECOND_US = 1_000_000
RECIPIENT = recipient_of(new_identity())
PYRAGE_RECIPIENT = pyrage.x25519.Recipient.from_str(RECIPIENT)
KEY = DeviceKey.generate()
SEGMENTS = 200
CLIP_SEGMENTS = 30
GENEROUS = 1 << 40
PARTS = ("encode", "hash", "seal", "sign", "append")


@dataclass
class Stopwatch:
    """CPU and wall seconds by part."""

    cpu_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wall_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def time(self, part: str, action: Callable[[], T]) -> T:
        """Do it, and note what it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = action()
        self.cpu_s[part].append(time.process_time() - cpu)
        self.wall_s[part].append(time.perf_counter() - wall)
        return result

    def cpu_ms(self, part: str) -> float:
        """Return the median."""
        return statistics.median(self.cpu_s[part]) * 1e3

    def wall_ms(self, part: str, percentile: int = 50) -> float:
        """Return a percentile."""
        times = sorted(self.wall_s[part])
        return times[min(len(times) - 1, len(times) * percentile // 100)] * 1e3


@contextmanager
def open_ring(folder: Path, *, max_bytes: int = GENEROUS) -> Iterator[tuple[ClipRing, CaptureChain]]:
    """Open a device's state and ring in a folder."""
    with State.open(folder / "state.db") as state:
        ring = ClipRing(
            folder / "clips",
            state,
            device="porch",
            max_bytes=max_bytes,
            max_age_s=1e9,
            pinned_share=0.5,
            clock=lambda: START_US,
        )
        yield ring, CaptureChain(state, KEY, device="porch", camera="main")


def begin(ring: ClipRing, clip: str, at: int) -> None:
    """Begin a clip at a second."""
    ring.begin(clip, camera="main", start_us=START_US + at * SECOND_US, event="e", kind="motion")


def keep_segments(folder: Path, size: int, *, count: int = SEGMENTS) -> Stopwatch:
    """Keep segments as the daemon does; beside each, a plain append to a file of its own, and pyrage."""
    watch = Stopwatch()
    units = [WireAccessUnit(i * 6_000, i * 6_000, i == 0, os.urandom(size // 15)) for i in range(15)]
    floor = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT, 0o600)
    with open_ring(folder) as (ring, chain):
        for number in range(count):
            clip = f"c{number // CLIP_SEGMENTS:03}"
            if number % CLIP_SEGMENTS == 0:
                watch.time("begin", lambda clip=clip, at=number: begin(ring, clip, at))  # type: ignore[misc]
            _keep_one(watch, ring, chain, clip=clip, start_us=START_US + number * SECOND_US, units=units)
            plaintext = os.urandom(size)
            watch.time("pyrage", lambda data=plaintext: pyrage.encrypt(data, [PYRAGE_RECIPIENT]))  # type: ignore[misc]
            watch.time("plain append", lambda data=plaintext: _append_plainly(floor, data))  # type: ignore[misc]
            if number % CLIP_SEGMENTS == CLIP_SEGMENTS - 1:
                watch.time("end", lambda clip=clip: ring.end(clip, end_us=START_US))  # type: ignore[misc]
    os.close(floor)
    return watch


def _keep_one(
    watch: Stopwatch,
    ring: ClipRing,
    chain: CaptureChain,
    *,
    clip: str,
    start_us: int,
    units: Sequence[WireAccessUnit],
) -> None:
    plaintext = watch.time(
        "encode", lambda: encode_segment(codec="h264", width=1280, height=720, extradata=b"\1" * 40, units=units)
    )
    digest = watch.time("hash", lambda: segment_digest(plaintext))
    sealed = watch.time("seal", lambda: seal(plaintext, [RECIPIENT]))
    statement = watch.time("sign", lambda: chain.sign(start_us=start_us, duration_us=SECOND_US, sha256=digest))
    watch.time(
        "append",
        lambda: ring.append_segment(
            clip, sealed, statement=statement, start_us=start_us, duration_us=SECOND_US, sha256=digest
        ),
    )


def _append_plainly(fd: int, data: bytes) -> None:
    os.write(fd, data)
    os.fdatasync(fd)


def row_ms(folder: Path) -> float:
    """Wall milliseconds of one row, durable, in a state: what the index of each segment would cost."""
    watch = Stopwatch()
    with State.open(folder / "rows.db") as state:
        with state.transaction() as tx:
            tx.execute("CREATE TABLE rows (number INTEGER)")
        for number in range(100):

            def insert(number: int = number) -> None:
                with state.transaction() as tx:
                    tx.execute("INSERT INTO rows VALUES (?)", (number,))

            watch.time("row", insert)
    return watch.wall_ms("row")


def syncs_a_segment(folder: Path) -> float:
    """Count what reaches the kernel while clips of CLIP_SEGMENTS segments are kept, begin and end included."""
    trace = folder / "trace"
    command = [need("strace"), "-f", "-e", "trace=fsync,fdatasync,sync_file_range", "-o", str(trace)]
    counts = []
    for count in (CLIP_SEGMENTS, 3 * CLIP_SEGMENTS):
        where = folder / str(count)
        where.mkdir()
        child = [sys.executable, "-m", "tests.benchmarks.ring", "--child", str(count), "--folder", str(where)]
        subprocess.run([*command, *child], check=True, stdout=subprocess.DEVNULL)
        # One line a call; the plain append beside each segment is not ours.
        lines = [line for line in trace.read_text().splitlines() if re.search(r"sync\w*\(\d+", line)]
        counts.append(len(lines) - count)
    return (counts[1] - counts[0]) / (2 * CLIP_SEGMENTS)


def write_store(folder: Path, segments: int) -> None:
    """Write the clip files of a store, small ones, and no index: what a lost database leaves."""
    (folder / "clips").mkdir(parents=True)
    sealed = seal(bytes(800), [RECIPIENT])
    digest = segment_digest(bytes(800))
    with State.open(folder / "scratch.db") as state:
        chain, chains = CaptureChain(state, KEY, device="porch", camera="main"), state.companion(Chains)
        for first in range(0, segments, CLIP_SEGMENTS):
            start_us = START_US + first * SECOND_US
            clip = f"c{first:07}"
            parts = [Header(clip=clip, device="porch", camera="main", start_us=start_us, event="e", kind="k").encode()]
            for number in range(first, first + CLIP_SEGMENTS):
                at_us = START_US + number * SECOND_US
                statement = chain.sign(start_us=at_us, duration_us=SECOND_US, sha256=digest)
                chains.extend(chains.read(statement))
                meta = SegmentMeta(start_us=at_us, duration_us=SECOND_US, sha256=digest, statement=statement)
                parts.append(encode_record(RecordType.SEGMENT, meta.to_meta(), sealed))
            (folder / "clips" / f"{clip}.clip").write_bytes(
                b"".join([*parts, encode_end(start_us + CLIP_SEGMENTS * SECOND_US)])
            )


def store_rows(folder: Path, segments: int) -> list[Row]:
    """Make the index of a large store from its files, start on it again, and give a part of it up."""
    write_store(folder, segments)
    name = f"{segments // 1_000}k segments"
    began = time.perf_counter()
    with open_ring(folder) as (ring, _):
        rebuilt_s, usage = time.perf_counter() - began, ring.usage()
        asked = time.perf_counter()
        for _ in range(20):
            ring.clips(START_US + segments // 2 * SECOND_US, START_US + (segments // 2 + 60) * SECOND_US)
        asked_ms = (time.perf_counter() - asked) / 20 * 1e3
    assert usage.clips == -(-segments // CLIP_SEGMENTS)
    began = time.perf_counter()
    with open_ring(folder) as (ring, _):
        started_s = time.perf_counter() - began
    gone = 50
    began = time.perf_counter()
    with open_ring(folder, max_bytes=usage.bytes * (usage.clips - gone) // usage.clips) as (ring, _):
        evicted_ms = (time.perf_counter() - began - started_s) * 1e3 / (usage.clips - ring.usage().clips)
    return [
        against_goal(f"start with {name}, s", started_s, 0.5),
        against_goal(f"index made again from files, {name}, ms a segment", rebuilt_s * 1e3 / segments, 1.0),
        against_goal(f"clips of a minute among {name}, ms", asked_ms, 20),
        against_goal(f"giving up a clip among {name}, wall ms", evicted_ms, 20),
    ]


def segment_rows(folder: Path, kilobytes: int) -> list[Row]:
    """Measure one size of segment."""
    watch = keep_segments(folder, kilobytes * 1_000)
    name = f"{kilobytes} KB"
    whole_ms = sum(watch.cpu_ms(part) for part in PARTS)
    print(f"{name}: " + ", ".join(f"{part} {watch.cpu_ms(part):.3f}" for part in (*PARTS, "begin", "end")) + " CPU ms")
    rate = 1e3 / watch.wall_ms("append")
    print(f"{name}: {rate:.0f} appends a second, {rate * kilobytes / 1e3:.0f} MB/s, each on disk")
    return [
        against_goal(f"{name}: a segment, all parts, CPU ms", whole_ms, 0.7 * kilobytes / 256),
        against_peer(f"{name}: sealing, against pyrage", watch.cpu_ms("seal"), watch.cpu_ms("pyrage"), 1.0),
        against_peer(
            f"{name}: an append, against a plain one, CPU", watch.cpu_ms("append"), watch.cpu_ms("plain append"), 2.0
        ),
        against_peer(
            f"{name}: an append, against a plain one, wall", watch.wall_ms("append"), watch.wall_ms("plain append"), 1.5
        ),
        against_peer(
            f"{name}: 99th percentile of an append, against a plain one, wall",
            watch.wall_ms("append", 99),
            watch.wall_ms("plain append", 99),
            2.0,
        ),
    ]


def benchmark(arguments: argparse.Namespace) -> Sequence[Row]:
    """Measure; the peers in the same run."""
    logs.configure(level=logging.ERROR)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        if arguments.child:
            keep_segments(folder, 20_000, count=arguments.child)
            return []
        rows = []
        for kilobytes in (256, 500):
            (folder / str(kilobytes)).mkdir()
            rows += segment_rows(folder / str(kilobytes), kilobytes)
        print(f"a row of the state, durable: {row_ms(folder):.2f} wall ms")
        rows.append(against_goal("syncs a segment, begin and end of clips shared out", syncs_a_segment(folder), 1.5))
        for segments in (10_000, 100_000):
            rows += store_rows(folder / f"store {segments}", segments)
        return rows


if __name__ == "__main__":
    main(__doc__.splitlines()[0], benchmark, ("--folder", Path), ("--child", int))
