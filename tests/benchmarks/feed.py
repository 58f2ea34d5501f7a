"""Milliseconds at the server for each page and feed at 100,000 requests, and the memory that they take.

    python -m tests.benchmarks.feed --json FILE [--requests 100000] [--rounds 200]

Each answer is made anew, with everything that HTTP adds but the network (compression included). What is asked differs
from round to round, so that what a cache holds is what it would hold in use. The book is made once, and kept in the
system's folder for temporary files.
"""

import argparse
import asyncio
import gc
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
from starlette.applications import Starlette

from broker.feed import routes
from broker.log.history.book import Book
from broker.log.history.query import VERSION
from broker.wire.rules import HOUR_US
from tests.benchmarks.harness import Row, against_goal, main
from tests.feed.simulator import SimulatedService, fill
from tests.feed.support import AGENCIES, CENTRE

GOAL_MS = 20.0
GOAL_MB = 150.0
REQUESTS = 100_000
ROUNDS = 200
_INCIDENTS = ("package-theft", "burglary", "robbery", "arson", "vandalism")


def run(arguments: argparse.Namespace) -> Sequence[Row]:
    """Measure every kind of answer."""
    return asyncio.run(_run(arguments.requests or REQUESTS, arguments.rounds or ROUNDS))


async def _run(count: int, rounds: int) -> list[Row]:
    book = _book(count)
    service = SimulatedService(book)
    started = time.perf_counter()
    app = Starlette(routes=routes(service))
    chance = random.Random(1)
    leaves = [leaf for leaf, _ in book.leaves()]
    gc.collect()
    gc.freeze()  # as the server does once it is ready
    rows: list[Row] = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=service.url) as client:
        await client.get("/")
        print(f"first page after start: {(time.perf_counter() - started) * 1e3:.0f} ms")
        for name, address in _addresses(chance, leaves, book.size).items():
            times = [await _timed(client, address()) for _ in range(rounds)]
            rows.append(against_goal(f"{name}, median ms", statistics.median(times), GOAL_MS))
            rows.append(against_goal(f"{name}, p99 ms", sorted(times)[int(len(times) * 0.99)], GOAL_MS))
    rows.append(
        against_goal("memory of the process, MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, GOAL_MB)
    )
    book.close()
    return rows


def _addresses(chance: random.Random, leaves: list[str], size: int) -> dict[str, Callable[[], str]]:
    """Return, for each kind of answer, a function that makes up an address."""

    def before() -> int:
        return chance.randrange(size // 2, size)

    def area() -> str:
        south, west = CENTRE[0] + chance.uniform(-0.02, 0.02), CENTRE[1] + chance.uniform(-0.04, 0.04)
        return ",".join(f"{side:.4f}".rstrip("0") for side in (south, west, south + 0.008, west + 0.012))

    return {
        "feed": lambda: f"/?before={before()}",
        "feed, by agency": lambda: f"/?agency={chance.choice(sorted(AGENCIES))}&before={before()}",
        "feed, by incident": lambda: f"/?incident={chance.choice(_INCIDENTS)}&before={before()}",
        "feed, by status": lambda: f"/?status={chance.choice(('open', 'expired', 'withdrawn'))}",
        "feed, by area": lambda: f"/?area={area()}",
        "feed, by date": lambda: f"/?since=20{chance.randrange(16, 25)}-03-01&until=20{chance.randrange(25, 27)}-04-01",
        "feed, all filters": lambda: (
            f"/?agency={chance.choice(sorted(AGENCIES))}&incident={chance.choice(_INCIDENTS)}&status=withdrawn"
            f"&area={area()}&since=2016-01-01&until=2026-04-01"
        ),
        "request": lambda: f"/requests/{chance.choice(leaves)}",
        "agency": lambda: f"/agencies/{chance.choice(sorted(AGENCIES))}",
        "agencies": lambda: "/agencies",
        "Atom": lambda: f"/feed.atom?before={before()}",
        "GeoJSON": lambda: f"/feed.geojson?before={before()}",
        "API, list": lambda: f"/api/requests?before={before()}",
        "API, one": lambda: f"/api/requests/{chance.choice(leaves)}",
    }


async def _timed(client: httpx.AsyncClient, address: str) -> float:
    started = time.perf_counter()
    answer = await client.get(address)
    spent = (time.perf_counter() - started) * 1e3
    assert answer.status_code == 200, (address, answer.text[:200])
    return spent


def _book(count: int) -> Book:
    path = Path(tempfile.gettempdir()) / f"latchstring-feed-benchmark-{VERSION}-{count}.sqlite"
    book = Book(path)
    if book.size < count:
        book.clear()
        started = time.perf_counter()
        fill(book, count, step_us=HOUR_US)
        print(f"{count:,} requests written in {time.perf_counter() - started:.0f} s")
    return book


if __name__ == "__main__":
    main(__doc__ or "", run, ("--requests", int), ("--rounds", int))
