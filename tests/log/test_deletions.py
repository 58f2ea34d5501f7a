"""Asked deletions in the log: counted once each, by day alone, whatever is cut off when; and checked by strangers."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.log.errors import LogError
from broker.log.history.book import Book
from broker.log.history.deletions import Counted, due
from broker.log.intake import Refused
from broker.log.readers import folder_reader
from broker.log.sequencer import Sequencer
from broker.log.service import LogService, Submitted
from broker.log.storage.folder import FolderStorage
from broker.log.verify import verify_log
from broker.wire.deletions import DeletionsAsked
from broker.wire.envelopes import public_bytes
from broker.wire.rules import DAY_US, HOUR_US
from tests.log.deciding import FIRE, code_of, put
from tests.log.support import (
    NOW_US,
    OPERATOR,
    ORIGIN,
    POLICE,
    POLICY,
    Broker,
    Clock,
    CuttingStorage,
    PowerCutError,
    admission,
    asked,
    leaf_of,
    revocation,
)
from tests.log.test_verify import write_log

TODAY_US = NOW_US // DAY_US * DAY_US
TOMORROW_US = TODAY_US + DAY_US
LEAF = leaf_of(asked())


def deletions(*, key: Any = OPERATOR, **changes: Any) -> bytes:
    values = {"agency": "springfield-pd", "request": LEAF, "day": TODAY_US, "count": 1} | changes
    return DeletionsAsked.model_validate(values).sign(key)


def test_only_the_operator_counts_and_only_days_that_are_over(book: Book) -> None:
    """Of a request in the log, for its own agency, no day twice or backwards, and none before it was posted."""
    put(book, admission("shelbyville-pd", agency_key=public_bytes(FIRE), domain="shelbyville.example.gov",
                        contact="desk@shelbyville.example.gov"))  # fmt: skip
    put(book, asked())
    later = TOMORROW_US + HOUR_US
    assert code_of(deletions(key=POLICE), book, now_us=later) == "signature"
    assert code_of(deletions(request="0" * 64), book, now_us=later) == "unknown-request"
    assert code_of(deletions(agency="shelbyville-pd"), book, now_us=later) == "not-yours"
    assert code_of(deletions(), book, now_us=TOMORROW_US - 1) == "posted-ahead"
    assert code_of(deletions(day=TODAY_US - DAY_US), book, now_us=later) == "posted-late"
    put(book, deletions(), now_us=TOMORROW_US)
    assert code_of(deletions(count=2), book, now_us=later) == "overlap"
    put(book, deletions(day=TODAY_US + 2 * DAY_US, count=3), now_us=TODAY_US + 9 * DAY_US)
    assert code_of(deletions(day=TODAY_US + DAY_US), book, now_us=TODAY_US + 9 * DAY_US) == "overlap"
    assert book.deletions.of_request(LEAF) == Counted(4, TODAY_US + 2 * DAY_US, 4)
    assert book.deletions.of_request(LEAF, before=4) == Counted(1, TODAY_US, 3)
    record = book.record_of("springfield-pd", now_us=NOW_US)
    assert (record.deletions, record.deletions_of) == (4, 1)


def test_a_revoked_agency_is_counted_on(book: Book) -> None:
    """What it was given it has; that it may not ask any more changes nothing."""
    put(book, asked())
    put(book, revocation())
    put(book, deletions(), now_us=TOMORROW_US)


class Hood:
    """A log service that can be started again, and an inbox's times, as a test gives them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.taken: dict[str, list[int]] = {LEAF: []}
        self.cutting: CuttingStorage | None = None

    async def start(self, *, cut_at: int = 0, done: bool = False) -> LogService:
        storage = FolderStorage(self.folder / "log")
        self.cutting = CuttingStorage(storage, cut_at=cut_at, done=done) if cut_at else None
        service = LogService(
            sequencer=Sequencer(self.cutting or storage, key=OPERATOR, origin=ORIGIN),
            operator=OPERATOR,
            publish=Broker().publish,
            now_us=self.clock,
            book=Book(self.folder / "book.db"),
        )
        await service.start()
        return service

    def verified(self) -> dict[str, Any]:
        report = verify_log(folder_reader(self.folder / "log"), POLICY, operator_key=public_bytes(OPERATOR))
        assert report.ok, report.to_text()
        return dict(report.counts)


async def test_a_day_is_logged_once_it_is_over(tmp_path: Path) -> None:
    """Together, however many asked, and never the hour: not even by when the log grew."""
    hood = Hood(tmp_path)
    service = await hood.start()
    for entry in (admission(), asked()):
        assert isinstance(await service.submit(entry), Submitted)
    hood.taken[LEAF] = [NOW_US, NOW_US + 7, NOW_US + HOUR_US]
    hood.clock.now_us = TOMORROW_US - 1
    await service.tell_deletions(hood.taken)
    assert service.log.size == 2
    hood.clock.now_us = TOMORROW_US
    hood.taken[LEAF].append(TOMORROW_US)
    for _ in range(3):
        await service.tell_deletions(hood.taken)
    assert service.log.size == 3
    assert await service.log.entry(2) == deletions(count=3)
    await service.close()
    assert hood.verified()["deletions-asked"] == 1


async def test_what_the_log_does_not_know_is_left_alone(tmp_path: Path) -> None:
    """Notices about another log's request are nobody's business here."""
    hood = Hood(tmp_path)
    service = await hood.start()
    hood.clock.now_us = TOMORROW_US
    await service.tell_deletions({"0" * 64: [NOW_US]})
    assert service.log.size == 0
    await service.close()


@pytest.mark.parametrize("done", [False, True])
async def test_a_cut_at_every_write_counts_nothing_twice(tmp_path: Path, done: bool) -> None:
    """Lost, or done and reported as failed: afterwards the log has each notice once."""
    for cut_at in range(1, 9):
        hood = Hood(tmp_path / f"{cut_at}")
        hood.folder.mkdir()
        service = await hood.start()
        for entry in (admission(), asked()):
            await service.submit(entry)
        await service.close()
        hood.taken[LEAF] = [NOW_US, NOW_US]
        hood.clock.now_us = TOMORROW_US
        try:
            service = await hood.start(cut_at=cut_at, done=done)
            await service.tell_deletions(hood.taken)
            await service.close()
        except (PowerCutError, LogError):
            await service.close()
        service = await hood.start()
        await service.tell_deletions(hood.taken)
        assert service.book.deletions.of_request(LEAF).count == 2
        await service.close()
        assert hood.verified()["deletions-asked"] == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.integers(-2 * DAY_US, 3 * DAY_US)),
        st.tuples(st.just("tell"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_every_notice_is_counted_exactly_once(steps: list[tuple[str, int]]) -> None:
    """Whatever the clock does: no day is said twice or early, and in the end the log has counted all."""
    taken: list[int] = []
    counted, now_us = Counted(), NOW_US
    for what, value in [*steps, ("wait", 9 * DAY_US), ("tell", 0), ("wait", 9 * DAY_US), ("tell", 0)]:
        if what == "ask":
            taken += [now_us] * value
        elif what == "wait":
            now_us = max(NOW_US, now_us + value)
        else:
            found = due(taken, counted, now_us=now_us)
            if found is not None:
                day_us, count = found
                assert counted.day_us < day_us <= now_us - DAY_US
                assert day_us % DAY_US == 0
                counted = Counted(counted.count + count, day_us, counted.index + 1)
        assert counted.count <= len(taken)
    assert counted.count == len(taken)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (deletions(key=POLICE), "signature"),
        (deletions(request="0" * 64), "unknown-request"),
        (deletions(day=TODAY_US - DAY_US), "posted-late"),
    ],
)
def test_a_stranger_finds_counts_that_are_made_up(tmp_path: Path, entry: bytes, code: str) -> None:
    """Not signed by the operator, about nothing, or of a day on which nobody can have answered."""
    folder = write_log(tmp_path / "log", [admission(), asked(), entry])
    report = verify_log(folder_reader(folder), POLICY, operator_key=public_bytes(OPERATOR))
    assert {finding.code for finding in report.findings} == {code}


def test_a_stranger_finds_a_day_that_was_counted_twice(tmp_path: Path) -> None:
    """And one that is dated ahead shows in what is logged after it."""
    entries = [admission(), asked(), deletions(), deletions(count=5), deletions(day=TODAY_US + 9 * DAY_US)]
    folder = write_log(tmp_path / "log", [*entries, asked(case="2", now_us=NOW_US + DAY_US)])
    report = verify_log(folder_reader(folder), POLICY, operator_key=public_bytes(OPERATOR))
    assert {(finding.code, finding.where) for finding in report.findings} == {
        ("overlap", "entry 3"),
        ("backdated", "entry 5"),
    }


async def test_nobody_submits_a_count(tmp_path: Path) -> None:
    """The intake takes it from the operator's key alone."""
    hood = Hood(tmp_path)
    service = await hood.start()
    for entry in (admission(), asked()):
        await service.submit(entry)
    hood.clock.now_us = TOMORROW_US
    assert isinstance(await service.submit(deletions(key=POLICE)), Refused)
    assert service.log.size == 2
    await service.close()
