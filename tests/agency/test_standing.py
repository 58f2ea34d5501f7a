"""How an agency stands: read in the log itself, only what is new, and never from a log that went back or changed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.agency import AgencyError, AgencyFolder, RemoteError, Standing, post, read_standing
from broker.agency.listing import listed
from broker.agency.rotate import is_rotating, next_public_key, settle
from broker.agency.standing import kept_standing
from broker.wire.cosigning import CACHED_US
from broker.wire.edge import Edge
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import leaf_hash
from broker.wire.records import RefusalCount, Refusals
from tests.agency.servers import FakeLog
from tests.agency.support import (
    HOUR_US,
    NOW_US,
    OPERATOR_KEY,
    TinyLog,
    admission,
    key_of,
    make_folder,
    make_request,
    revocation,
)


def read(folder: AgencyFolder, log: FakeLog, *, now_us: int = NOW_US) -> Standing:
    return read_standing(folder, log=log.client(), now_us=now_us)


def test_admitted_and_revoked(folder: AgencyFolder) -> None:
    """Admissions, revocations and counted refusals are found at their entries; others' are not ours."""
    log = FakeLog()
    key = public_bytes(folder.signing_key())
    assert read(folder, log).newest is None
    log.log.add(admission(public_bytes(key_of("other")), agency="southtown-police"))
    index = log.log.add(admission(key))
    standing = read(folder, log)
    assert (standing.size, standing.newest is not None and standing.newest.index) == (4, index)
    assert standing.in_force is not None
    assert standing.in_force.key == key
    counts = (RefusalCount(code="area", count=3),)
    refused = Refusals(agency=folder.settings.id, since=NOW_US, until=NOW_US + 1, counts=counts)
    log.log.add(refused.sign(OPERATOR_KEY))
    log.log.add(revocation())
    standing = read(folder, log)
    assert standing.in_force is None
    assert standing.refused == {"area": 3}
    assert [one.index for one in standing.said] == [3, 5]
    log.log.add(refused.model_copy(update={"since": NOW_US + 1, "until": NOW_US + 2}).sign(OPERATOR_KEY))
    assert read(folder, log).refused == {"area": 6}
    assert kept_standing(folder) == read(folder, log)


def test_refusals_without_end(folder: AgencyFolder) -> None:
    """However often the log counts refusals, what is kept of them stays as small as the list of rules."""
    log = FakeLog()
    counts = (RefusalCount(code="area", count=1), RefusalCount(code="window", count=2))
    kept = []
    for number in range(40):
        record = Refusals(agency=folder.settings.id, since=NOW_US + number, until=NOW_US + number + 1, counts=counts)
        log.log.add(record.sign(OPERATOR_KEY))
        read(folder, log)
        kept.append((folder.path / "log.json").stat().st_size)
    assert kept[-1] - kept[0] < 500
    assert kept_standing(folder).refused == {"area": 40, "window": 80}


def test_no_more_is_written_than_is_read(folder: AgencyFolder) -> None:
    """A log that would fill the disk is refused before, and what was kept can still be read."""
    log = FakeLog()
    read(folder, log)
    kept = (folder.path / "log.json").read_bytes()
    long = "🔑" * 200
    for number in range(1_100):
        record = folder.as_admitted(NOW_US + number)
        changes = {"name": long, "admitted_by": long, "evidence": long}
        log.log.entries.append(record.model_copy(update=changes).sign(OPERATOR_KEY))
    with pytest.raises(AgencyError, match="ask its operator"):
        read(folder, log)
    assert (folder.path / "log.json").read_bytes() == kept


def test_what_a_revocation_ends(folder: AgencyFolder) -> None:
    """Requests that were open then are listed as revoked, for good; later ones are not."""
    log = FakeLog()
    key = public_bytes(folder.signing_key())
    log.log.add(admission(key, at_us=NOW_US - 2 * HOUR_US))
    early = post(folder, make_request(folder.recipient()), log=log.client())
    log.log.add(revocation(at_us=NOW_US))
    log.log.add(admission(key, at_us=NOW_US + 1))
    later = make_request(folder.recipient(), case="26-2").model_copy(update={"posted_at": NOW_US + 2})
    late = post(folder, later, log=log.client())
    assert {one.state for one in listed(folder, now_us=NOW_US)} == {"open"}
    read(folder, log)
    assert {one.leaf: one.state for one in listed(folder, now_us=NOW_US)} == {early.leaf: "revoked", late.leaf: "open"}


def test_only_the_operators_word(folder: AgencyFolder) -> None:
    """A record that the operator did not sign, whoever got it into the log, says nothing."""
    log = FakeLog()
    forged = make_request(folder.recipient())  # of another type, by the way
    log.log.add(forged.sign(key_of("somebody")))
    record = folder.as_admitted(NOW_US)
    log.log.add(record.sign(key_of("somebody")))
    assert read(folder, log).said == ()


def test_only_what_is_new_is_read(folder: AgencyFolder) -> None:
    """The next look fetches the bundles that have grown, and none twice."""
    log = FakeLog()
    for number in range(700):
        log.log.entries.append(b"entry %d" % number)
    read(folder, log)
    assert [path for path in log.paths if path.startswith("tile/")] == [
        "tile/entries/002.p/190",
        "tile/entries/000",
        "tile/entries/001",
    ]
    log.log.add(admission(public_bytes(folder.signing_key())))
    log.paths.clear()
    standing = read(folder, log)
    assert log.paths == ["checkpoint", "tile/entries/002.p/191"]
    assert standing.in_force is not None


def test_a_log_that_went_back(folder: AgencyFolder) -> None:
    """A smaller log, or one that says something else at the same size, is not believed; the first such note stays."""
    log = FakeLog()
    log.log.add(admission(public_bytes(folder.signing_key())))
    read(folder, log)
    kept = (folder.path / "log.json").read_bytes()
    log.log.entries.pop()
    smaller = log.log.note()
    late_us = NOW_US + CACHED_US + 1
    with pytest.raises(AgencyError, match="had 3 before"):
        read(folder, log, now_us=late_us)
    log.log.add(b"something else")
    log.log.add(b"and more")
    with pytest.raises(AgencyError, match="something else than before"):
        read(folder, log, now_us=late_us)
    assert (folder.path / "conflict.note").read_bytes() == smaller
    assert (folder.path / "log.json").read_bytes() == kept


def test_a_cache_that_lags(folder: AgencyFolder) -> None:
    """Less than before, soon after more was shown, changes nothing and accuses nobody; no cache is asked for it."""
    log = FakeLog()
    log.log.add(admission(public_bytes(folder.signing_key())))
    before = read(folder, log)
    kept = (folder.path / "log.json").read_bytes()
    entry = log.log.entries.pop()
    assert read(folder, log, now_us=NOW_US + CACHED_US) == before
    assert before.in_force is not None
    assert (folder.path / "log.json").read_bytes() == kept
    assert not (folder.path / "conflict.note").exists()
    log.log.add(entry)
    assert read(folder, log, now_us=NOW_US + 2 * CACHED_US) == before
    assert set(log.checkpoint_headers) == {"no-cache"}


def test_entries_that_are_not_what_was_signed(folder: AgencyFolder) -> None:
    """A log that serves other entries than it signed is not believed."""
    log = FakeLog()
    note = log.log.note()
    log.log.note = lambda: note  # type: ignore[method-assign]
    log.log.entries[0] = admission(public_bytes(folder.signing_key()))
    with pytest.raises(AgencyError, match="root"):
        read(folder, log)
    assert not (folder.path / "log.json").exists()


def test_a_log_of_another_key(folder: AgencyFolder) -> None:
    """Another log's checkpoint is refused by the pinned policy."""
    with pytest.raises(RemoteError, match="pinned policy"):
        read(folder, FakeLog(log=TinyLog(key_of("another log"))))


@pytest.mark.parametrize("damage", ["{", '{"size": -1}', '{"size": 3}', '{"said": [[1, "AAAA"]]}', '{"more": 1}'])
def test_a_damaged_state_is_named(folder: AgencyFolder, damage: str) -> None:
    """What was kept and can't be read is named, with what to do; it is not taken for a beginning."""
    (folder.path / "log.json").write_text(damage)
    with pytest.raises(AgencyError, match="remove it") as caught:
        read(folder, FakeLog())
    assert "log.json" in str(caught.value)


@given(st.lists(st.integers(0, 40), max_size=6))
def test_any_growth(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    """However a log grows between two looks, the state that is kept has its root, and it is believed."""
    folder = make_folder(tmp_path_factory.mktemp("growth") / "agency")
    log = FakeLog()
    log.log.entries.clear()
    for step in steps:
        for _ in range(step):
            log.log.entries.append(b"entry %d" % len(log.log.entries))
        assert read(folder, log).size == len(log.log.entries)
        state = json.loads((folder.path / "log.json").read_text())
        edge = Edge(state["size"], tuple(bytes.fromhex(one) for one in state["edge"]))
        edge = edge.extended([(0, leaf_hash(b"next"))])
        assert edge.size == len(log.log.entries) + 1


def test_rotation(folder: AgencyFolder) -> None:
    """A new key waits until the log admits it; then it signs, and the old one is kept."""
    log = FakeLog()
    old = public_bytes(folder.signing_key())
    log.log.add(admission(old))
    new = next_public_key(folder)
    assert next_public_key(folder) == new
    assert not settle(folder, read(folder, log))
    assert public_bytes(folder.signing_key()) == old
    log.log.add(admission(new, at_us=NOW_US + 1))
    assert settle(folder, read(folder, log))
    assert not is_rotating(folder)
    assert public_bytes(folder.signing_key()) == new
    (retired,) = folder.path.glob("retired-*.key")
    assert old.hex().startswith(retired.stem.removeprefix("retired-"))
    assert not settle(folder, read(folder, log))


def test_a_rotation_that_is_cut(folder: AgencyFolder) -> None:
    """Power that fails between the two steps of the change leaves one of them to do, and no key is lost."""
    log = FakeLog()
    log.log.add(admission(next_public_key(folder)))
    standing = read(folder, log)
    (folder.path / f"retired-{public_bytes(folder.signing_key()).hex()[:16]}.key").hardlink_to(
        folder.path / "agency.key"
    )
    assert settle(folder, standing)
    assert standing.in_force is not None
    assert public_bytes(folder.signing_key()) == standing.in_force.key


def test_a_revoked_agency_does_not_change_over(folder: AgencyFolder, tmp_path: Path) -> None:
    """A new key that was admitted and revoked since is not taken into use."""
    log = FakeLog()
    log.log.add(admission(next_public_key(folder)))
    log.log.add(revocation(at_us=NOW_US + 1))
    assert not settle(folder, read(folder, log))
    assert is_rotating(folder)
    assert not list(tmp_path.glob("**/retired-*"))
