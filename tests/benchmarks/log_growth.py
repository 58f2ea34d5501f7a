"""How a log grows, from a thousand entries to a million: time, disk and memory, in a folder with real syncs.

    python -m tests.benchmarks.log_growth --entries 1000000 --json log-growth.json

A process of its own appends entries of about a kilobyte, as requests are, in batches, and publishes after each. At each
size it closes the log, and opens it many times over, each time with none of our caches: once for the time of a start,
and for the proof of one entry. What the operating system has cached is left as it is.
"""

import argparse
import gc
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from broker.log.sequencer import Sequencer
from broker.log.storage.folder import FolderStorage
from tests.benchmarks.harness import Row, against_goal, main

SIZES = (1_000, 10_000, 100_000, 1_000_000)
BATCH = 256
ENTRY_BYTES = 1_024
PROOFS = 40
APPEND_GOAL_MS = 2.0
PROOF_GOAL_MS = 2.0
MEMORY_GOAL = 1.25  # a log a thousand times as long may not take a quarter more
_FREE_BYTES = 5 << 30  # left alone on the disk
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Growth:
    """One size of a log. Times are in milliseconds; appending is of the entries since the size before."""

    entries: int
    append_ms: float  # for an entry, its part of put, head and publication included
    slowest_batch_ms: float
    start_ms: float
    proof_ms: float
    slowest_proof_ms: float
    disk_bytes: int
    files: int
    memory_bytes: int  # resident, once the batches are done


def grow(folder: Path, sizes: Iterable[int]) -> Iterable[Growth]:
    """Grow one log in `folder` from size to size; yields what each took."""
    chance = random.Random(4)
    key = Ed25519PrivateKey.generate()
    filler = os.urandom(ENTRY_BYTES)
    for size in sizes:
        log = _opened(folder, key)
        before, batches = log.size, list[float]()
        while log.size < size:
            numbers = range(log.size, min(size, log.size + BATCH))
            entries = [number.to_bytes(8) + filler[: ENTRY_BYTES - 8 - number % 64] for number in numbers]
            started = time.perf_counter()
            log.append(entries)
            log.publish(log.head_note)
            batches.append((time.perf_counter() - started) * 1e3)
        gc.collect()
        memory = _resident_bytes()
        log.close()
        starts, proofs = _cold(folder, key, [chance.randrange(size) for _ in range(PROOFS)])
        disk, files = _on_disk(folder)
        yield Growth(
            entries=size,
            append_ms=sum(batches) / (size - before),
            slowest_batch_ms=max(batches),
            start_ms=statistics.median(starts),
            proof_ms=statistics.median(proofs),
            slowest_proof_ms=max(proofs),
            disk_bytes=disk,
            files=files,
            memory_bytes=memory,
        )


def measure(sizes: Sequence[int] = SIZES) -> list[Growth]:
    """Grow a log below the folder for temporary files, in a process of its own, and remove it."""
    with tempfile.TemporaryDirectory(prefix="log-growth-") as name:
        needed = max(sizes) * ENTRY_BYTES * 5 // 4
        if shutil.disk_usage(name).free - needed < _FREE_BYTES:
            raise SystemExit(f"{name}: a log of {max(sizes):,} entries takes {needed >> 20:,} MB, and there is no room")
        command = [sys.executable, "-m", "tests.benchmarks.log_growth", "--grow", name, *map(str, sizes)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            found = [Growth(**json.loads(line)) for line in process.stdout]
        if process.returncode:
            raise SystemExit(f"growing the log ended with {process.returncode}")
    return found


def table(growths: Sequence[Growth]) -> Table:
    """Return the sizes as a table for people."""
    shown = Table(
        *("entries", "append", "batch", "start", "proof", "worst", "disk", "each", "files", "memory"),
        box=SIMPLE,
        caption="ms: an entry's part of its batch, the slowest batch, a start, the first proof after it (median and "
        "worst); MB: disk and memory; each: bytes on disk for an entry",
    )
    for one in growths:
        times = (one.append_ms, one.slowest_batch_ms, one.start_ms, one.proof_ms, one.slowest_proof_ms)
        shown.add_row(
            str(one.entries),
            *(f"{value:.2f}" if value < 100 else f"{value:.0f}" for value in times),
            f"{one.disk_bytes / 1e6:.0f}",
            f"{one.disk_bytes / one.entries:.0f}",
            str(one.files),
            f"{one.memory_bytes / 1e6:.0f}",
        )
    return shown


def rows(growths: Sequence[Growth]) -> list[Row]:
    """Return the figures of the largest size that there is a goal for."""
    smallest, largest = growths[0], growths[-1]
    of = f"at {largest.entries:,} entries"
    return [
        against_goal(f"append and publish an entry {of}, ms", largest.append_ms, APPEND_GOAL_MS),
        against_goal(f"cold proof {of}, ms", largest.proof_ms, PROOF_GOAL_MS),
        against_goal(
            f"memory {of}, over that at {smallest.entries:,}",
            largest.memory_bytes / smallest.memory_bytes,
            MEMORY_GOAL,
        ),
    ]


def benchmark(arguments: argparse.Namespace) -> list[Row]:
    """Grow a log to `--entries`, a million if not given, and show every size on the way."""
    most = arguments.entries or SIZES[-1]
    growths = measure([*(size for size in SIZES if size < most), most])
    Console().print(table(growths))
    return rows(growths)


def _cold(folder: Path, key: Ed25519PrivateKey, indices: Iterable[int]) -> tuple[list[float], list[float]]:
    """Return how long each start took, and each proof that was the first after it; milliseconds."""
    starts, proofs = [], []
    for index in indices:
        began = time.perf_counter()
        log = _opened(folder, key)
        opened = time.perf_counter()
        log.proof(index)
        proofs.append((time.perf_counter() - opened) * 1e3)
        starts.append((opened - began) * 1e3)
        log.close()
    return starts, proofs


def _opened(folder: Path, key: Ed25519PrivateKey) -> Sequencer:
    log = Sequencer(FolderStorage(folder), key=key, origin="log.example.org/growth")
    log.open()
    return log


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _on_disk(folder: Path) -> tuple[int, int]:
    """Return the bytes of the blocks that a folder takes, and its number of files."""
    stats = [path.stat() for path in folder.rglob("*")]
    files = sum(1 for path in folder.rglob("*") if path.is_file())
    return sum(stat.st_blocks * 512 for stat in stats), files


def _grow_here(folder: str, *sizes: str) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    for growth in grow(Path(folder) / "log", map(int, sizes)):
        print(json.dumps(asdict(growth)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--grow"]:
        _grow_here(*sys.argv[2:])
    else:
        main("How a log grows.", benchmark, ("--entries", int))
