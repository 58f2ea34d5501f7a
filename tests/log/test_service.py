"""Submissions from the outside to the retained message: order, concurrency, failures of the log underneath."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.log.asynclog import AsyncLog
from broker.log.errors import LogBusyError, LogError, LogInUseError
from broker.log.history.book import Book
from broker.log.intake import Refused
from broker.log.sequencer import Sequencer
from broker.log.service import LogService, Submitted
from broker.log.storage.folder import HEAD_PATH, FolderStorage
from broker.wire import topics
from broker.wire.encoding import WireError
from broker.wire.envelopes import public_bytes
from broker.wire.geo import Point, cells_of_circle
from broker.wire.proofs import verify_proof
from broker.wire.rules import DAY_US
from broker.wire.topics import parse_announcement, parse_request_topic
from tests.log.support import (
    NOW_US,
    OPERATOR,
    ORIGIN,
    POLICY,
    Broker,
    Clock,
    CuttingStorage,
    PowerCutError,
    admission,
    asked,
    key_of,
    leaf_of,
    make_service,
    revocation,
    update,
)


class CountingStorage(FolderStorage):
    """Counts publications."""

    publications = 0

    def swap_head(self, old: bytes | None, new: bytes) -> None:
        self.publications += 1
        super().swap_head(old, new)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def service(tmp_path: Path, broker: Broker, clock: Clock) -> AsyncIterator[LogService]:
    service = make_service(tmp_path / "log", broker=broker, clock=clock)
    await service.start()
    yield service
    await service.close()


async def logged(service: LogService, envelope: bytes) -> Submitted:
    result = await service.submit(envelope)
    assert isinstance(result, Submitted), result
    return result


async def test_a_submission_comes_back_with_its_proof(service: LogService) -> None:
    """The answer holds what the submitter can check by itself, and the same again for the same envelope."""
    await logged(service, admission())
    first = await logged(service, asked())
    assert (first.index, first.leaf, first.created) == (1, leaf_of(asked()), True)
    assert verify_proof(asked(), first.proof or b"", POLICY)[0] == 1
    again = await logged(service, asked())
    assert (again.index, again.created) == (1, False)
    assert verify_proof(asked(), again.proof or b"", POLICY)[0] == 1
    assert service.log.size == 2


async def test_two_posts_at_once_do_not_slip_past_the_limit(service: LogService) -> None:
    """Of five posts of one case at the same moment, two are logged."""
    await logged(service, admission())
    results = await asyncio.gather(*(service.submit(asked(description=f"Number {n}.")) for n in range(5)))
    refused = [result for result in results if isinstance(result, Refused)]
    assert [one.code for one in refused] == ["posts-per-case"] * 3
    assert service.book.posts("springfield-pd", "26-001234") == 2


async def test_the_same_envelope_at_once_is_one_entry(service: LogService) -> None:
    """A client that sends twice in parallel gets one entry."""
    await logged(service, admission())
    results = await asyncio.gather(*(logged(service, asked()) for _ in range(5)))
    assert {result.index for result in results} == {1}
    assert sum(result.created for result in results) == 1


async def test_agencies_share_a_publication(tmp_path: Path) -> None:
    """What arrives together from many agencies is published with few checkpoints, and each gets its own index."""
    storage = CountingStorage(tmp_path)
    sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN)
    service = LogService(sequencer=sequencer, operator=OPERATOR, publish=Broker().publish, now_us=Clock())
    await service.start()
    results = await asyncio.gather(*(logged(service, admission(f"agency-{number}")) for number in range(40)))
    assert sorted(result.index for result in results) == list(range(40))
    assert storage.publications < 10
    await service.close()


async def test_a_request_is_announced_after_its_publication(service: LogService, broker: Broker) -> None:
    """The retained message holds the entry and a proof that verifies, under the request's cell."""
    await logged(service, admission())
    await logged(service, asked())
    assert not broker.requests()
    await service.announcer.flush()
    ((topic, payload),) = broker.requests().items()
    announced = parse_announcement(payload)
    assert parse_request_topic(topic)[1] == announced.leaf == leaf_of(asked())
    verify_proof(announced.envelope, announced.proof, POLICY)
    assert POLICY.check(broker.retained[topics.CHECKPOINT]).size == 2
    assert broker.published[0][0] == topics.CHECKPOINT


async def test_a_circle_over_a_border_is_announced_on_both_sides(service: LogService, broker: Broker) -> None:
    """Every cell that the circle touches gets the request."""
    await logged(service, admission())
    points = (Point(525_000_000, 130_000_000 + step * 50_000) for step in range(400))
    centre = next(point for point in points if len(cells_of_circle(point, 600)) == 2)
    await logged(service, asked(area={"lat_e7": centre.lat_e7, "lon_e7": centre.lon_e7, "radius_m": 600}))
    await service.announcer.flush()
    assert [parse_request_topic(topic)[0] for topic in sorted(broker.requests())] == cells_of_circle(centre, 600)


@pytest.mark.parametrize("kind", ["withdrawn", "resolved"])
async def test_a_closed_request_is_cleared(service: LogService, broker: Broker, kind: str) -> None:
    """Once the agency withdraws or resolves it, its topic is empty; what is said of it stands in the log."""
    await logged(service, admission())
    leaf = (await logged(service, asked())).leaf
    await service.announcer.flush()
    assert broker.requests()
    await logged(service, update(leaf, kind))
    await service.announcer.flush()
    assert not broker.requests()
    assert broker.published[-1][1] == b""


async def test_an_answered_request_stays_announced(service: LogService, broker: Broker) -> None:
    """Footage that was given does not keep others from giving theirs."""
    await logged(service, admission())
    leaf = (await logged(service, asked())).leaf
    await logged(service, update(leaf, "answered"))
    await service.announcer.flush()
    assert broker.requests()


async def test_a_revocation_clears_all_that_the_agency_asks(service: LogService, broker: Broker) -> None:
    """Every open request of that agency, and nobody else's."""
    fire = key_of("fire")
    await logged(service, admission())
    await logged(service, admission("fire-dept", agency_key=public_bytes(fire)))
    for case in ("one", "two"):
        await logged(service, asked(case=case))
    other = await logged(service, asked(agency="fire-dept", key=fire))
    await service.announcer.flush()
    assert len(broker.requests()) == 3
    await logged(service, revocation())
    await service.announcer.flush()
    (topic,) = broker.requests()
    assert parse_request_topic(topic)[1] == other.leaf


async def test_an_expired_request_is_cleared(service: LogService, broker: Broker, clock: Clock) -> None:
    """Its topic is empty from the microsecond on at which it expires."""
    await logged(service, admission())
    await logged(service, asked())
    clock.now_us = NOW_US + 14 * DAY_US - 1
    await service.announcer.tick(clock())
    assert broker.requests()
    clock.now_us += 1
    await service.announcer.tick(clock())
    assert not broker.requests()
    assert broker.published[-1][1] == b""


@pytest.mark.slow
async def test_what_the_broker_did_not_take_is_tried_again(service: LogService, broker: Broker) -> None:
    """A broker that is down costs no announcement; the log goes on without it."""
    broker.down = True
    await logged(service, admission())
    await logged(service, asked())
    running = asyncio.create_task(service.run())
    await logged(service, asked(case="another"))
    broker.down = False
    async with asyncio.timeout(5):
        while len(broker.requests()) < 2:
            broker.arrived.clear()
            await broker.arrived.wait()
    running.cancel()
    assert POLICY.check(broker.retained[topics.CHECKPOINT]).size == 3


async def test_everything_is_published_again_after_a_restart(tmp_path: Path) -> None:
    """A broker that forgot everything is filled from the log, and what expired meanwhile is cleared."""
    clock = Clock()
    service = make_service(tmp_path / "log", clock=clock)
    await service.start()
    await logged(service, admission())
    await logged(service, asked(expires_at=NOW_US + DAY_US))
    await logged(service, asked(case="another"))
    await service.close()
    clock.now_us += 2 * DAY_US
    broker = Broker()
    service = make_service(tmp_path / "log", broker=broker, clock=clock)
    await service.start()
    assert service.book.size == 3
    await service.announcer.republish()
    expired = leaf_of(asked(expires_at=NOW_US + DAY_US))
    assert [payload for topic, payload in broker.published if expired in topic] == [b""]
    assert leaf_of(asked(case="another")) in " ".join(broker.requests())
    await service.close()


async def test_a_broker_that_was_away_is_told_everything_again(service: LogService, broker: Broker) -> None:
    """Once it is back, what it retained before is there again at once, though nothing new was posted."""
    await logged(service, admission())
    await logged(service, asked())
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(4):  # less than a tick
        while not broker.requests():
            broker.arrived.clear()
            await broker.arrived.wait()
        before = dict(broker.retained)
        broker.retained.clear()
        service.announcer.reconnected()
        while broker.retained != before:
            broker.arrived.clear()
            await broker.arrived.wait()
    running.cancel()


@pytest.mark.parametrize("done", [False, True], ids=["lost", "done-but-reported-failed"])
async def test_a_failed_append_is_reported_and_the_log_goes_on(tmp_path: Path, done: bool) -> None:
    """The submitter is told; sending again gives one entry in either case, and it is announced."""
    broker = Broker()
    # 2 of the empty log, 4 of the admission; cut at the head of the next
    storage = CuttingStorage(FolderStorage(tmp_path), cut_at=9, done=done)
    sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN)
    service = LogService(sequencer=sequencer, operator=OPERATOR, publish=broker.publish, now_us=Clock())
    await service.start()
    await logged(service, admission())
    with pytest.raises(PowerCutError):
        await service.submit(asked())
    assert service.book.size == service.log.size == (2 if done else 1)
    again = await logged(service, asked())
    assert (again.index, again.created) == (1, not done)
    assert (await logged(service, asked(case="next"))).index == 2
    await service.announcer.flush()
    assert len(broker.requests()) == 2
    await service.close()


class Unreadable(FolderStorage):
    """A folder whose head moves, is reported as failed, and can't be looked at for a while."""

    broken = False
    unreadable = 0

    def swap_head(self, old: bytes | None, new: bytes) -> None:
        super().swap_head(old, new)
        if self.broken:
            raise PowerCutError("the disk does not answer")

    def get(self, path: str) -> bytes | None:
        if self.unreadable and path == HEAD_PATH:
            self.unreadable -= 1
            raise PowerCutError("the disk does not answer")
        return super().get(path)


async def test_nothing_is_decided_by_a_history_that_may_lack_the_last_entry(tmp_path: Path) -> None:
    """An entry that went in while all answers were lost stands once, however often it is sent again."""
    storage = Unreadable(tmp_path / "log")
    sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN)
    service = LogService(sequencer=sequencer, operator=OPERATOR, publish=Broker().publish, now_us=Clock())
    await service.start()
    await logged(service, admission())
    storage.broken, storage.unreadable = True, 3
    for _ in range(3):
        with pytest.raises(PowerCutError):
            await service.submit(asked())
    storage.broken, storage.unreadable = False, 0
    again = await logged(service, asked())
    assert (again.index, again.created) == (1, False)
    assert (await logged(service, asked(case="next"))).index == 2
    assert service.book.size == service.log.size == sequencer.size == 3
    await service.close()


async def test_a_history_that_cant_be_written_stops_the_log_and_harms_nothing(tmp_path: Path) -> None:
    """While the book's disk is full nothing more is logged; once it has room the log goes on, each entry once."""
    book = Book(tmp_path / "book.db")
    sequencer = Sequencer(FolderStorage(tmp_path / "log"), key=OPERATOR, origin=ORIGIN)
    service = LogService(sequencer=sequencer, operator=OPERATOR, publish=Broker().publish, now_us=Clock(), book=book)
    await service.start()
    await logged(service, admission())
    book._db.execute("PRAGMA query_only = ON")
    for _ in range(4):
        with pytest.raises(LogError):
            await service.submit(asked())
    assert sequencer.size == 2
    book._db.execute("PRAGMA query_only = OFF")
    assert not (await logged(service, asked())).created
    assert (await logged(service, asked(case="next"))).index == 2
    assert service.book.size == service.log.size == 3
    await service.close()


async def test_an_entry_out_of_place_does_not_keep_the_log_from_starting(tmp_path: Path) -> None:
    """What stands in the log stands there: it counts for nothing, and what follows does."""
    sequencer = Sequencer(FolderStorage(tmp_path / "log"), key=OPERATOR, origin=ORIGIN)
    sequencer.open()
    sequencer.append([admission(), asked(), asked(), asked(case="next")])
    sequencer.close()
    for _ in range(2):
        service = LogService(
            sequencer=Sequencer(FolderStorage(tmp_path / "log"), key=OPERATOR, origin=ORIGIN),
            operator=OPERATOR, publish=Broker().publish, now_us=Clock(), book=Book(tmp_path / "book.db"),
        )  # fmt: skip
        await service.start()
        assert service.book.size == 4
        assert service.book.count() == 2
        await service.close()


async def test_a_second_service_on_one_log_is_refused(service: LogService, tmp_path: Path) -> None:
    """Two operators' processes on one folder: the second does not start."""
    second = make_service(tmp_path / "log")
    with pytest.raises(LogInUseError):
        await second.start()
    await second.close()
    await logged(service, admission())


async def test_the_queue_before_the_log_is_bounded(tmp_path: Path) -> None:
    """Beyond its bound the log refuses instead of letting memory grow; what it took in is logged."""
    seen: list[bytes] = []
    sequencer = Sequencer(FolderStorage(tmp_path), key=OPERATOR, origin=ORIGIN)
    log = AsyncLog(sequencer, on_logged=lambda _, entries: seen.extend(entries), max_waiting=3)
    await log.open()
    assert await log.published() is None
    adds = [asyncio.create_task(log.append(b"entry %d" % number)) for number in range(10)]
    done = await asyncio.gather(*adds, return_exceptions=True)
    assert sum(isinstance(one, LogBusyError) for one in done) == 7
    with pytest.raises(WireError):
        await log.append(b"x" * 65_536)
    assert seen == [b"entry 0", b"entry 1", b"entry 2"]
    await log.close()


async def test_closing_publishes_what_waits(tmp_path: Path) -> None:
    """A stop does not lose an entry that was taken in."""
    service = make_service(tmp_path)
    await service.start()
    adding = asyncio.create_task(service.log.add(admission()))
    await asyncio.sleep(0)
    await service.close()
    assert await adding == 0
