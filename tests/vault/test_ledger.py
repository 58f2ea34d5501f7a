"""The ledger: a chain that shows what was changed, dropped or moved."""

import json
import sqlite3
from pathlib import Path

import pytest

from broker.wire.encoding import canonical, format_time
from broker.wire.envelopes import payload_type, sign_envelope
from device.vault.errors import LedgerError
from device.vault.keys import DeviceKey
from device.vault.ledger import Ledger, verify_lines
from device.vault.state import State
from tests.vault.support import DEVICE_KEY, START_US


def filled(state: State, count: int = 4) -> Ledger:
    ledger = Ledger(state, DEVICE_KEY)
    for number in range(count):
        with state.transaction() as tx:
            ledger.append(tx, "approved" if number % 2 else "declined", {"number": number}, START_US + number)
    return ledger


def test_entries_are_chained_signed_and_read_back(tmp_path: Path) -> None:
    """Entries come back in order, as they were decided; the chain verifies under the device's key and no other."""
    with State.open(tmp_path / "s.db") as state:
        ledger = filled(state)
        entries = list(ledger.entries())
        assert [(e.seq, e.at_us, e.body["number"]) for e in entries] == [(n, START_US + n, n) for n in range(4)]
        assert [e.seq for e in ledger.entries(kind="approved")] == [1, 3]
        assert [e.seq for e in ledger.entries(after=2)] == [3]
        assert [e.prev for e in entries] == ["0" * 64, *(e.hash for e in entries[:-1])]
        assert ledger.verify(DEVICE_KEY.public) == []
        assert len(ledger.verify(DeviceKey.generate().public)) == 4


def test_many_entries_are_paged(tmp_path: Path) -> None:
    """A long ledger is read whole."""
    with State.open(tmp_path / "s.db") as state:
        ledger = Ledger(state, DEVICE_KEY)
        with state.transaction() as tx:
            for number in range(1_100):
                ledger.append(tx, "seen", {"n": number}, START_US)
        assert [entry.seq for entry in ledger.entries()] == list(range(1_100))


def test_entry_goes_with_its_transaction(tmp_path: Path) -> None:
    """A decision whose change of state fails was never written; the next takes its number."""
    with State.open(tmp_path / "s.db") as state:
        ledger = filled(state, 1)
        with pytest.raises(ZeroDivisionError), state.transaction() as tx:  # noqa: PT012 - the entry must come first
            ledger.append(tx, "approved", {}, START_US)
            raise ZeroDivisionError
        with state.transaction() as tx:
            assert ledger.append(tx, "declined", {}, START_US).seq == 1
        assert [entry.kind for entry in ledger.entries()] == ["declined", "declined"]
        assert ledger.verify(DEVICE_KEY.public) == []


def test_the_database_refuses_changes(tmp_path: Path) -> None:
    """Not even our own code can change or delete an entry by mistake."""
    with State.open(tmp_path / "s.db") as state:
        ledger = filled(state)
        for sql in ("DELETE FROM ledger WHERE seq = 3", "UPDATE ledger SET hash = ''"):
            with pytest.raises(sqlite3.IntegrityError, match="never"), state.transaction() as tx:
                tx.execute(sql)
        assert len(list(ledger.entries())) == 4


def test_tampering_shows(tmp_path: Path) -> None:
    """An exported ledger with an entry dropped, moved, doubled or rewritten is found out."""
    with State.open(tmp_path / "s.db") as state:
        lines = list(filled(state).export())
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    a, b, c, d = lines

    def problems(*found: bytes) -> list[str]:
        return verify_lines(iter(found), DEVICE_KEY.public)

    assert problems(a, b, c, d) == []
    for forged in ((a, c, d), (b, c, d), (a, c, b, d), (a, b, b, c, d)):
        assert any("missing, doubled or moved" in line for line in problems(*forged))
    body = json.loads(c)
    body["payload"] = json.loads(b)["payload"]
    assert problems(a, b, json.dumps(body, separators=(",", ":")).encode(), d)
    assert problems(a, b"noise", c, d)
    payload = {"seq": 1, "prev": "0" * 64, "at": format_time(START_US), "kind": "approved", "body": {}}
    grafted = sign_envelope(canonical(payload), payload_type("ledger"), DEVICE_KEY.signing)
    assert problems(a, grafted) == ["entry 1: it does not follow the entry before it"]
    assert problems(a, b, c[:-10], d)


def test_unfit_bodies_and_readers_are_refused(tmp_path: Path) -> None:
    """What JSON can't carry exactly, or what is too large to sign, is not written; nor is anything without a key."""
    with State.open(tmp_path / "s.db") as state:
        ledger = filled(state, 1)
        for body in ({"n": 2**60}, {"x": "y" * 100_000}, {"x": object()}):
            with pytest.raises(LedgerError), state.transaction() as tx:
                ledger.append(tx, "approved", body, START_US)
        with pytest.raises(LedgerError, match="no device key"), state.transaction() as tx:
            Ledger(state).append(tx, "approved", {}, START_US)
        assert Ledger(state).verify(DEVICE_KEY.public) == []
        assert len(list(ledger.entries())) == 1
