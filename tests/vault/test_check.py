"""The fsck and start-up against a store that somebody or something has bent."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from device.vault.check import CheckReport, check, check_store
from device.vault.clipfile import RecordType, encode_record, scan
from device.vault.errors import ClipError, StateError
from device.vault.findings import Severity
from device.vault.keys import DeviceKey
from device.vault.seals import extents
from device.vault.state import State
from tests.vault.support import DEVICE_KEY, SECOND_US, START_US, Clock, home


def store(folder: Path) -> None:
    with home(folder) as vault:
        for number in range(3):
            vault.record(f"c{number}", at_s=number * 10)
        with vault.state.transaction() as tx:
            vault.ledger.append(tx, "declined", {}, START_US)


def lines(folder: Path, key: bytes = DEVICE_KEY.public) -> list[str]:
    with State.open(folder / "state.db", read_only=True) as state:
        return [str(finding) for finding in check(folder / "clips", state, key).findings]


def test_sound_store_is_counted(tmp_path: Path) -> None:
    """A sound store has no findings, and the report says what was looked at; looking changes nothing."""
    store(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with State.open(tmp_path / "state.db", read_only=True) as state:
        report = check(tmp_path / "clips", state, DEVICE_KEY.public)
    assert (report.clips, report.segments, report.ledger_entries, report.findings) == (3, 6, 1, ())
    assert report.clean
    assert report.sound
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def drop_middle(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def plain_record(path: Path) -> None:
    path.write_bytes(path.read_bytes() + encode_record(RecordType.THUMBNAIL, {"at_us": 1}, b"\xff\xd8jpeg"))


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (flip, "CRC does not match"),
        (drop_middle, "were acknowledged"),
        (Path.unlink, "its file is gone"),
        (plain_record, "not a sealed one"),
        (lambda path: path.rename(path.with_stem("c9")), "it is the file of clip c1"),
        (lambda path: path.write_bytes(b""), "header can't be read"),
    ],
)
def test_bent_file_is_found_and_startup_lives(tmp_path: Path, bend: Callable[[Path], None], words: str) -> None:
    """Each kind of damage is an error in the report; the next start goes on with all the rest."""
    store(tmp_path)
    bend(tmp_path / "clips" / "c1.clip")
    found = lines(tmp_path)
    assert any(words in line and line.startswith("error") for line in found), found
    with home(tmp_path) as vault:
        assert len(vault.ring.segments("c0")) == len(vault.ring.segments("c2")) == 2
        vault.record("c5", at_s=100)
        assert vault.chain.head.seq == 7


def test_foreign_signature_is_found(tmp_path: Path) -> None:
    """Checked against another device's key, nothing holds."""
    store(tmp_path)
    found = lines(tmp_path, DeviceKey.generate().public)
    assert sum("not signed by this device" in line for line in found) == 6
    assert any(line.startswith("error: ledger") for line in found)


def test_replayed_clip_is_found(tmp_path: Path) -> None:
    """An old copy of a clip, put back under its name with a row of its own, doubles the chain."""
    store(tmp_path)
    copy = (tmp_path / "clips" / "c0.clip").read_bytes()
    with home(tmp_path) as vault:
        vault.record("c3", at_s=30)
    (tmp_path / "clips" / "x.clip").write_bytes(copy)
    found = lines(tmp_path)
    assert any("two segments are number 0" in line for line in found)
    assert any("it is the file of clip c0" in line for line in found)


def test_broken_chain_is_found(tmp_path: Path) -> None:
    """Statements that are each signed and numbered, and don't name one another, are no chain."""
    with home(tmp_path) as vault:
        vault.record("a", at_s=0)
        with vault.state.transaction() as tx:
            tx.execute("UPDATE chain_heads SET hash = ?", ("f" * 64,))
    with home(tmp_path) as vault:
        vault.record("b", at_s=10)
        found = [str(finding) for finding in vault.check().findings]
        assert len(found) == 1
        assert "error: capture chain porch/door: segment 2 does not follow the one before" in found[0]


def test_chain_goes_on_from_the_last_clip_not_the_last_name(tmp_path: Path) -> None:
    """Files are taken up by name; the chain's head is that of the highest number all the same."""
    with home(tmp_path) as vault:
        vault.record("z", at_s=0)
        vault.record("a", at_s=10)
        head = vault.chain.head
        vault.ring.rebuild_index()
        assert vault.chain.head == head
    (tmp_path / "state.db").unlink()
    with home(tmp_path) as vault:
        assert vault.chain.head == head


def test_strangers_and_gaps_are_told_apart(tmp_path: Path) -> None:
    """A file that is no clip is a warning; segments that made room are only something to know."""
    with home(tmp_path, max_bytes=15_000) as vault:
        for number in range(3):
            vault.record(f"c{number}", at_s=number * 10)
            vault.ring.pin("c0", "r")
        assert [str(f.severity) for f in vault.check().findings] == [Severity.INFO]
        (tmp_path / "clips" / "notes.txt").write_text("hello")
        report = vault.check()
        assert not report.clean
        assert report.sound


def test_index_is_made_again_from_the_files(tmp_path: Path) -> None:
    """With the database gone, the files alone bring back clips, segments and the chain; with it, pins stay too."""
    store(tmp_path)
    with home(tmp_path) as vault:
        vault.ring.pin("c1", "r")
        vault.begin("c3", at_s=30)
        with pytest.raises(ClipError, match="being written"):
            vault.ring.rebuild_index()
        vault.ring.end("c3", end_us=START_US + 31 * SECOND_US)
        before = vault.ring.clips(0, 2 * START_US), vault.ring.segments("c1"), vault.ring.usage(), vault.chain.head
        vault.ring.rebuild_index()
        assert before == (
            vault.ring.clips(0, 2 * START_US),
            vault.ring.segments("c1"),
            vault.ring.usage(),
            vault.chain.head,
        )
        assert vault.check().clean
    (tmp_path / "state.db").unlink()
    with home(tmp_path) as vault:
        assert before[0] == vault.ring.clips(0, 2 * START_US)
        assert before[1] == vault.ring.segments("c1")
        assert before[3] == vault.chain.head
        assert vault.ring.recovered.indexed == 4 + 6 + 4
        assert vault.check().clean


def test_damaged_header_keeps_the_footage(tmp_path: Path) -> None:
    """A clip whose header can't be read is not thrown away when the index is lost; it is reported."""
    store(tmp_path)
    path = tmp_path / "clips" / "c1.clip"
    data = bytearray(path.read_bytes())
    data[12] ^= 1
    path.write_bytes(data)
    (tmp_path / "state.db").unlink()
    with home(tmp_path) as vault:
        assert [info.clip for info in vault.ring.clips(0, 2 * START_US)] == ["c0", "c2"]
        assert any("no header" in line for line in vault.ring.recovered.findings)
        assert path.read_bytes() == data


def looked(folder: Path, sleep: Callable[[float], None] = lambda _: None) -> CheckReport:
    return check_store(folder / "clips", folder / "state.db", DEVICE_KEY.public, sleep=sleep)


def errors(folder: Path) -> list[str]:
    return [str(finding) for finding in looked(folder).findings if finding.severity is Severity.ERROR]


def cut_behind(path: Path, segments: int) -> None:
    with path.open("rb") as file:
        os.truncate(path, scan(file).records[segments].end)


@pytest.mark.parametrize(
    ("bend", "gone"),
    [
        (lambda clips: (clips / "c2.clip").unlink(), "segments 4 to 5 are not here, where the chain ends"),
        (lambda clips: cut_behind(clips / "c2.clip", 1), "segment 5 is not here, where the chain ends"),
        (lambda clips: (clips / "c1.clip").unlink(), "segments 2 to 3 are not here, and"),
        (
            lambda clips: [path.unlink() for path in clips.iterdir()],
            "segments 2 to 5 are not here, where the chain ends",
        ),
    ],
)
def test_what_was_lost_is_missed_after_the_next_start(
    tmp_path: Path, bend: Callable[[Path], object], gone: str
) -> None:
    """Start-up forgets a clip that somebody took away; the chain tells, be it of its end or of its middle."""
    store(tmp_path)
    bend(tmp_path / "clips")
    with home(tmp_path) as vault:
        assert vault.ring.recovered.findings
    found = errors(tmp_path)
    assert len(found) == 1
    assert f"capture chain porch/door: {gone}" in found[0]


def test_nothing_is_missed_of_what_was_evicted(tmp_path: Path) -> None:
    """By age or for room, with pins that keep older clips than the newest, or all of it: no error, and no warning."""
    clock = Clock()
    with home(tmp_path, clock=clock, max_age_s=100) as vault:
        for number in range(3):
            vault.record(f"c{number}", at_s=number * 10)
        vault.ring.pin("c1", "r")
        clock.now_us = START_US + 1_000 * SECOND_US
        vault.ring.expire()
        assert [info.clip for info in vault.ring.clips(0, 2 * START_US)] == ["c1"]
        assert looked(tmp_path).findings == ()
        vault.ring.unpin("r")
        vault.ring.expire()
        assert [extent.let_go for extent in extents(vault.state)] == [5]
        assert looked(tmp_path).findings == ()
        vault.record("c9", at_s=1_000)
        assert looked(tmp_path).findings == ()
    (tmp_path / "clips" / "c9.clip").unlink()
    assert sum("segments 6 to 7" in line for line in errors(tmp_path)) == 1


def test_index_made_again_claims_only_what_it_saw(tmp_path: Path) -> None:
    """With the database gone nobody knows what was evicted: gaps are no error then, and what comes is held to."""
    with home(tmp_path) as vault:
        for number, name in enumerate("cabd"):
            vault.record(name, at_s=number * 10)
    (tmp_path / "clips" / "a.clip").unlink()
    (tmp_path / "state.db").unlink()
    with home(tmp_path) as vault:
        assert vault.check().clean
        vault.record("e", at_s=50)
        assert vault.check().clean
    (tmp_path / "clips" / "e.clip").unlink()
    assert sum("segments 8 to 9" in line for line in errors(tmp_path)) == 1


def test_state_from_before_evictions_were_noted(tmp_path: Path) -> None:
    """A state of the version before is brought up to date, and what it may have evicted is not missed."""
    store(tmp_path)
    (tmp_path / "clips" / "c0.clip").unlink()
    with closing(sqlite3.connect(tmp_path / "state.db")) as old:
        old.executescript(
            "PRAGMA foreign_keys = ON; DELETE FROM clips WHERE clip = 'c0';"
            "ALTER TABLE chain_heads DROP COLUMN let_go; ALTER TABLE clips DROP COLUMN last_seq;"
            "UPDATE schema_versions SET version = 1 WHERE name IN ('seals', 'clips')"
        )
    with pytest.raises(StateError, match="start the device once"):
        looked(tmp_path)
    with home(tmp_path) as vault:
        vault.record("c3", at_s=30)
        assert vault.check().clean
    assert errors(tmp_path) == []


def test_index_that_lacks_rows_is_rebuilt(tmp_path: Path) -> None:
    """The check names what the index lacks; rebuilding on an open ring takes it up again."""
    store(tmp_path)
    with home(tmp_path) as vault:
        with vault.state.transaction() as tx:
            tx.execute("DELETE FROM records WHERE clip = 'c1' AND type = ?", (RecordType.SEGMENT,))
        assert any("check --rebuild" in str(finding) for finding in vault.check().findings)
        vault.ring.rebuild_index()
        assert vault.check().findings == ()
        assert len(vault.ring.segments("c1")) == 2


@pytest.mark.slow
def test_checks_beside_a_device_that_films_and_evicts(tmp_path: Path) -> None:
    """Clips come, grow and go while the store is checked, again and again: nothing is called lost or damaged."""
    (tmp_path / "clips").mkdir()
    stop = threading.Event()
    failed: list[BaseException] = []

    def film() -> None:
        try:
            number = 0
            with home(tmp_path, max_bytes=30_000) as vault:
                filming.set()
                while not stop.is_set():
                    vault.record(f"{number % 7}-{number}", at_s=number * 10)
                    if number % 5 == 0:
                        vault.ring.unpin("r")
                        vault.ring.pin(f"{number % 7}-{number}", "r")
                    number += 1
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failed.append(error)
            filming.set()

    filming = threading.Event()
    thread = threading.Thread(target=film)
    thread.start()
    try:
        filming.wait(10)
        reports: list[CheckReport] = []
        while len(reports) < 8 and not failed:
            reports.append(looked(tmp_path, sleep=lambda _: time.sleep(0.4)))
    finally:
        stop.set()
        thread.join()
    assert failed == []
    assert [str(finding) for report in reports if not report.sound for finding in report.findings] == []
    assert looked(tmp_path).clean
