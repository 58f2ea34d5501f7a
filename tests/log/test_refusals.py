"""Counts of refusals: logged once each, whatever is cut off when, and only of what an agency signed."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.log.errors import LogError
from broker.log.history.book import Book
from broker.log.history.refusals import RefusalJournal
from broker.log.intake import Refused
from broker.log.sequencer import Sequencer
from broker.log.service import LogService
from broker.log.storage.folder import FolderStorage
from broker.wire.rules import HOUR_US
from tests.log.support import NOW_US, OPERATOR, ORIGIN, Broker, Clock, admission, asked, key_of

WIDE: dict[str, Any] = {"area": {"lat_e7": 0, "lon_e7": 0, "radius_m": 900}}


class Hood:
    """A log service whose journal is in a folder, and can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()

    async def start(self) -> LogService:
        service = LogService(
            sequencer=Sequencer(FolderStorage(self.folder / "log"), key=OPERATOR, origin=ORIGIN),
            operator=OPERATOR,
            publish=Broker().publish,
            now_us=self.clock,
            book=Book(self.folder / "book.db"),
            journal=RefusalJournal(self.folder / "refusals.json"),
        )
        await service.start()
        return service


async def test_what_was_refused_is_logged_after_a_while(tmp_path: Path) -> None:
    """The count survives a restart, is logged once its hour has passed, and stands in the agency's record."""
    hood = Hood(tmp_path)
    service = await hood.start()
    await service.submit(admission())
    for case in ("1", "2"):
        assert isinstance(await service.submit(asked(case=case, **WIDE)), Refused)
    await service.tally()
    assert service.book.record_of("springfield-pd", now_us=hood.clock()).refused == {}
    await service.close()
    hood.clock.now_us += HOUR_US
    service = await hood.start()
    await service.tally()
    await service.tally()
    assert service.book.record_of("springfield-pd", now_us=hood.clock()).refused == {"area": 2}
    assert service.log.size == 2
    await service.close()


async def test_nobody_is_blackened_by_others(tmp_path: Path) -> None:
    """What a stranger signed in an agency's name is refused, and not counted."""
    service = await Hood(tmp_path).start()
    await service.submit(admission())
    assert isinstance(await service.submit(asked(key=key_of("stranger"), **WIDE)), Refused)
    assert service.journal is not None
    assert service.journal.pending("springfield-pd") == 0
    await service.close()


async def test_the_same_envelope_counts_once(tmp_path: Path) -> None:
    """Whoever holds a refused envelope can send it again and again, also after a restart; it was asked once."""
    hood = Hood(tmp_path)
    service = await hood.start()
    await service.submit(admission())
    for _ in range(3):
        await service.submit(asked(**WIDE))
    await service.close()
    service = await hood.start()
    await service.submit(asked(**WIDE))
    assert service.journal is not None
    assert service.journal.pending("springfield-pd") == 1
    await service.close()


async def test_a_cut_between_logging_and_forgetting_counts_nothing_twice(tmp_path: Path) -> None:
    """The same record is the same entry: the log knows it already, even when it would be too late to say it now."""
    hood = Hood(tmp_path)
    service = await hood.start()
    await service.submit(admission())
    await service.submit(asked(**WIDE))
    hood.clock.now_us += HOUR_US
    assert service.journal is not None
    (record,) = service.journal.sealed(now_us=hood.clock())
    await service.submit(record.sign(OPERATOR))
    await service.close()
    hood.clock.now_us += 30 * HOUR_US
    service = await hood.start()
    await service.tally()
    assert service.book.record_of("springfield-pd", now_us=hood.clock()).refused == {"area": 1}
    assert service.log.size == 2
    await service.close()


async def test_what_could_not_be_logged_in_time_is_counted_again(tmp_path: Path) -> None:
    """A record that was sealed before a long cut is too old to be logged; its counts go into the next one."""
    hood = Hood(tmp_path)
    service = await hood.start()
    await service.submit(admission())
    await service.submit(asked(**WIDE))
    assert service.journal is not None
    service.journal.sealed(now_us=hood.clock() + HOUR_US)
    await service.close()
    hood.clock.now_us += 5 * HOUR_US
    service = await hood.start()
    await service.submit(asked(case="late", now_us=hood.clock(), **WIDE))
    await service.tally()
    await service.tally()
    assert service.book.record_of("springfield-pd", now_us=hood.clock()).refused == {"area": 2}
    await service.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("note"), st.sampled_from(["area", "window"])),
        st.tuples(st.just("wait"), st.integers(-HOUR_US, 3 * HOUR_US)),
        st.tuples(st.sampled_from(["seal", "log", "fail", "restart"]), st.none()),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_every_refusal_is_counted_exactly_once(tmp_path_factory: pytest.TempPathFactory, steps: list[object]) -> None:
    """Whatever order of refusals, clocks, cuts and failures: logged and pending together are all there were."""
    path = tmp_path_factory.mktemp("journal") / "refusals.json"
    journal, now_us, noted, logged, last = RefusalJournal(path), NOW_US, 0, 0, 0
    for step in steps:
        match step:
            case ("note", str(code)):
                noted += 1
                for _ in range(2):
                    journal.note("springfield-pd", code, leaf=f"{noted:064x}", now_us=now_us)
            case ("wait", int(by_us)):
                now_us += by_us
            case ("restart", _):
                journal = RefusalJournal(path)
            case (str(what), _):
                for record in journal.sealed(now_us=now_us):
                    assert record.since < record.until
                    if what == "log" and record.since >= last:
                        logged, last = logged + sum(one.count for one in record.counts), record.until
                        journal.logged(record)
                    elif what != "seal":
                        journal.unsealed(record, since_us=last)
        assert logged + journal.pending("springfield-pd") == noted


@pytest.mark.parametrize(
    "text", ["", "[]", '{"open": {"a": {}}, "seen": {}, "sealed": []}', '{"open": {}, "seen": {}, "sealed": [{}]}']
)
def test_a_damaged_journal_is_told(tmp_path: Path, text: str) -> None:
    """It is never overwritten: one line says which file, and what to do."""
    path = tmp_path / "refusals.json"
    path.write_text(text)
    with pytest.raises(LogError, match=r"refusals\.json"):
        RefusalJournal(path)
    assert path.read_text() == text
