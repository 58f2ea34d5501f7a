"""What the operator's log does for each entry, rules, history and disk included; and what a stranger needs to check it.

python -m tests.benchmarks.log_submit
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.log.admission import admit
from broker.log.history.book import Book
from broker.log.readers import folder_reader
from broker.log.sequencer import Sequencer
from broker.log.service import LogService, Submitted
from broker.log.storage.folder import FolderStorage
from broker.log.verify import verify_log
from broker.wire.envelopes import public_bytes
from broker.wire.geo import E7
from broker.wire.proofs import make_policy, parse_policy
from broker.wire.records import EXCLUDED_PURPOSES, INCIDENTS, Area, Request
from broker.wire.rules import DAY_US, HOUR_US

ORIGIN = "log.example.org/benchmark"
NOW_US = 1_790_000_000_000_000
OPERATOR = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
RECIPIENT = "age1qrw6crccd0h8jxdvlrx4ftqwqv3xhyqkxjufvhdnt57hup5cddts68lznn"
AGENCIES = 50
BATCH = 256


def agency_key(number: int) -> Ed25519PrivateKey:
    """The key of one of the agencies."""
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


def admissions() -> Iterator[bytes]:
    """The agencies' records."""
    for number in range(AGENCIES):
        yield admit(
            agency=f"agency-{number}", name=f"Police of town {number}", domain=f"town{number}.example",
            contact=f"desk@town{number}.example", agency_key=public_bytes(agency_key(number)),
            admitted_by="The operator", evidence="Letter of the city clerk", key=OPERATOR, now_us=NOW_US - DAY_US,
        )  # fmt: skip


def asked(number: int) -> Request:
    """One request of many, each of another case, some 1.2 KB as logged."""
    agency = number % AGENCIES
    return Request(
        agency=f"agency-{agency}",
        case=f"2026-{number}",
        incident=INCIDENTS[number % len(INCIDENTS)],
        description="A parcel was taken from a porch. We look for the person who took it, and for where they went.",
        contact=f"cases@town{agency}.example",
        area=Area(lat_e7=52 * E7 + number * 37 % E7, lon_e7=13 * E7 + number * 91 % E7, radius_m=200 + number % 400),
        start=NOW_US - 6 * HOUR_US,
        end=NOW_US - 2 * HOUR_US,
        devices=("camera", "doorbell"),
        recipient=RECIPIENT,
        purpose="Identify who took the parcel",
        retention_days=90,
        sharing=(),
        excludes=EXCLUDED_PURPOSES,
        posted_at=NOW_US,
        expires_at=NOW_US + 14 * DAY_US,
    )


async def _publish(topic: str, payload: bytes, *, retain: bool) -> None:
    del topic, payload, retain


async def submit(folder: Path, *, entries: int) -> float:
    """Submit so many requests, 256 at a time, to a log in a folder; returns wall milliseconds for each."""
    service = LogService(
        sequencer=Sequencer(FolderStorage(folder / "log"), key=OPERATOR, origin=ORIGIN),
        operator=OPERATOR,
        publish=_publish,
        now_us=lambda: NOW_US,
        book=Book(folder / "book.db"),
    )
    await service.start()
    for envelope in admissions():
        await service.submit(envelope)
    envelopes = [asked(number).sign(agency_key(number % AGENCIES)) for number in range(entries)]
    began = time.perf_counter()
    for first in range(0, entries, BATCH):
        done = await asyncio.gather(*(service.submit(one) for one in envelopes[first : first + BATCH]))
        assert all(isinstance(one, Submitted) for one in done)
    took_s = time.perf_counter() - began
    await service.close()
    return took_s * 1e3 / entries


def check(folder: Path, *, entries: int) -> float:
    """Check that log as a stranger would; returns wall milliseconds for each entry."""
    policy = parse_policy(make_policy(Sequencer(FolderStorage(folder), key=OPERATOR, origin=ORIGIN).verifier))
    began = time.perf_counter()
    report = verify_log(folder_reader(folder / "log"), policy, operator_key=public_bytes(OPERATOR))
    took_s = time.perf_counter() - began
    assert report.ok, report.to_text()
    return took_s * 1e3 / (entries + AGENCIES)


def measured(entries: int = 5_000) -> tuple[float, float]:
    """Return milliseconds an entry of submitting and of checking."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return asyncio.run(submit(folder, entries=entries)), check(folder, entries=entries)


if __name__ == "__main__":
    submitting_ms, checking_ms = measured()
    print(f"submit: {submitting_ms:.2f} ms an entry; check: {checking_ms:.2f} ms an entry")
