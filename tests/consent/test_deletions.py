"""The owner asks for what was shared to be deleted: kept before it is told, told until it is signed for, once."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.deletions import Deletion, DeletionsAsked
from broker.wire.envelopes import public_bytes
from broker.wire.rules import DAY_US
from device.consent.deletions import TABLE, DeletionState, KeptDeletion, Step, _after
from device.consent.desk import ASKED_BACK
from device.consent.errors import ConsentError, TransitionError
from device.vault.state import State
from tests.consent.decisions import SEED, SHA, approval, approve, offered
from tests.consent.support import OWNER, Home, follow, followed, read_on
from tests.consent.test_reading_power_cut import cuts
from tests.simulators import NOW_US, NeighbourhoodSimulator, signing_key

RECEIPT = b'{"the":"inbox"}'
TODAY_US = NOW_US // DAY_US * DAY_US


def released(home: Home) -> str:
    leaf = offered(home)
    approve(home, approval(leaf).sign(OWNER))
    home.desk.releasing(leaf)
    return leaf


def received(home: Home) -> str:
    leaf = released(home)
    home.desk.received(leaf, b"{}")
    return leaf


def kinds(home: Home) -> list[str]:
    assert home.ledger.verify(home.shelf.key.public) == []
    return [entry.kind for entry in home.ledger.entries()]


def where(home: Home, leaf: str) -> str | None:
    kept = home.desk.deletions.of(leaf)
    return None if kept is None else str(kept.state)


@pytest.mark.parametrize(("state", "step"), list(itertools.product([None, *DeletionState], Step)))
def test_every_pair_is_in_the_table_or_refused(state: DeletionState | None, step: Step) -> None:
    """The whole cross product: a pair leads where the table says, or raises."""
    kept = None if state is None else KeptDeletion(state, b"", None, "", 0)
    if (state, step) in TABLE:
        assert _after(kept, step) is TABLE[state, step]
    else:
        with pytest.raises(TransitionError, match=step):
            _after(kept, step)


def test_what_is_asked_is_in_the_ledger_before_it_can_be_told(home: Home) -> None:
    """The notice names request and bundle, and is signed by the one-time key of the upload, which names nobody."""
    leaf = received(home)
    assert home.desk.ask_deletion(leaf[:12]) == leaf
    ((told, notice),) = home.desk.deletions.to_tell()
    record = Deletion.open(notice, key=Deletion.unverified(notice).key)
    assert (told, record.request, record.bundle_sha256, record.at) == (leaf, leaf, SHA, NOW_US)
    assert record.key == public_bytes(Ed25519PrivateKey.from_private_bytes(SEED))
    *_, entry = home.ledger.entries()
    assert (entry.kind, entry.body) == ("deletion-asked", {"request": leaf, "notice": notice.decode()})
    home.desk.deletions.told(leaf, RECEIPT)
    assert home.desk.deletions.to_tell() == []
    assert kinds(home) == ["approved", "released", "received", "deletion-asked", "deletion-told"]
    (stored,) = home.desk.requests()
    assert stored.upload_seed is None, "the one-time key has served"


def test_it_is_asked_once(home: Home) -> None:
    """However often, before and after it was told, over restarts: one entry, one notice, the same bytes."""
    leaf = received(home)
    home.desk.ask_deletion(leaf)
    first = home.desk.deletions.to_tell()
    home.now_us += 1
    home.close()
    home.open()
    home.desk.ask_deletion(leaf)
    assert home.desk.deletions.to_tell() == first
    home.desk.deletions.told(leaf, RECEIPT)
    home.desk.ask_deletion(leaf)
    with pytest.raises(TransitionError):
        home.desk.deletions.told(leaf, RECEIPT)
    home.desk.deletions.failed(leaf, "late")
    assert where(home, leaf) == "told"
    assert kinds(home).count("deletion-asked") == kinds(home).count("deletion-told") == 1


@pytest.mark.parametrize("what", ["offered", "approved", "declined", "expired", "undelivered"])
def test_nothing_is_asked_for_that_nobody_was_given(home: Home, what: str) -> None:
    """Only what left, or is on its way: a request in any other state keeps nothing."""
    leaf = offered(home)
    if what in {"approved", "undelivered"}:
        approve(home, approval(leaf).sign(OWNER))
    if what == "undelivered":
        home.desk.releasing(leaf)
        home.desk.failed(leaf, "the inbox is full")
    if what == "declined":
        home.desk.decline(leaf)
    if what == "expired":
        home.now_us += 15 * DAY_US
        home.docket.expire()
    assert home.states() == {leaf: what}
    before = kinds(home)
    with pytest.raises(ConsentError, match=what):
        home.desk.ask_deletion(leaf)
    assert (where(home, leaf), kinds(home)) == (None, before)


def test_what_is_on_its_way_gets_no_more_bytes(home: Home) -> None:
    """Only its receipt is asked for. It had not all arrived: nobody was given it, and there is nothing to tell."""
    leaf = released(home)
    home.desk.ask_deletion(leaf)
    sending = home.desk.releasing(leaf)
    assert sending is not None
    assert sending.closed_by == ASKED_BACK
    assert home.desk.deletions.to_tell() == []
    home.desk.failed(leaf, "3 of 15 bytes had arrived")
    assert (where(home, leaf), home.states()) == ("failed", {leaf: "undelivered"})
    assert kinds(home)[-3:] == ["deletion-asked", "not-received", "deletion-not-told"]
    with pytest.raises(ConsentError, match="undelivered"):
        home.desk.ask_deletion(leaf)


def test_what_had_arrived_all_the_same_is_told(home: Home) -> None:
    """Asked while it was on its way, and signed for: the notice follows the receipt."""
    leaf = released(home)
    home.desk.ask_deletion(leaf)
    home.desk.received(leaf, b"{}")
    assert [told for told, _ in home.desk.deletions.to_tell()] == [leaf]


def test_what_failed_can_be_asked_again(home: Home) -> None:
    """The inbox may know it again, from a backup: the very same notice goes; each try stands in the ledger."""
    leaf = received(home)
    home.desk.ask_deletion(leaf)
    first = home.desk.deletions.to_tell()
    home.desk.deletions.failed(leaf, "the inbox knows no such bundle")
    assert home.desk.deletions.to_tell() == []
    kept = home.desk.deletions.of(leaf)
    assert kept is not None
    assert kept.summary() == {"state": "failed", "at_us": NOW_US, "message": "the inbox knows no such bundle"}
    home.desk.ask_deletion(leaf)
    assert home.desk.deletions.to_tell() == first
    assert kinds(home)[-3:] == ["deletion-asked", "deletion-not-told", "deletion-asked"]


def test_an_upload_of_an_earlier_version_can_not_be_asked_for(home: Home) -> None:
    """It forgot the one-time key with the receipt, and says so: nobody else could sign."""
    leaf = received(home)
    with home.state.transaction() as tx:
        tx.execute("UPDATE requests SET upload_seed = NULL")
    with pytest.raises(ConsentError, match="one-time key"):
        home.desk.ask_deletion(leaf)
    assert where(home, leaf) is None


def said(state: State) -> list[object]:
    """All that a cut might tear apart."""
    tables = ("SELECT state, receipt, message FROM deletions", "SELECT state, upload_seed FROM requests")
    return [*(state.query(sql) for sql in tables), state.query("SELECT count(*) FROM ledger")]


@pytest.mark.parametrize("what", ["asking", "telling", "failing"])
def test_a_cut_at_every_step_leaves_before_or_after(tmp_path: Path, what: str) -> None:
    """State and ledger entry belong together wherever the power goes, and the next start goes on from there."""
    home = Home(tmp_path / "home", NeighbourhoodSimulator())
    leaf = received(home)
    if what != "asking":
        home.desk.ask_deletion(leaf)
    steps: dict[str, Callable[[], object]] = {
        "asking": lambda: home.desk.ask_deletion(leaf),
        "telling": lambda: home.desk.deletions.told(leaf, RECEIPT),
        "failing": lambda: home.desk.deletions.failed(leaf, "unknown"),
    }
    before = said(home.state)
    found = cuts(home.state, steps[what], tmp_path / "cuts")
    after = said(home.state)
    home.close()
    seen = []
    for at in found:
        with State.open(at / "state.db") as state:
            seen.append(said(state))
    assert all(one in (before, after) for one in seen)
    assert (seen[0], seen[-1]) == (before, after)
    assert len(seen) > 2


def asked(hood: NeighbourhoodSimulator, leaf: str, *, day: int, count: int = 1, agency: str | None = None) -> bytes:
    record = DeletionsAsked(agency=agency or hood.agency.agency, request=leaf, day=TODAY_US + day * DAY_US, count=count)
    return record.sign(hood.operator)


def test_a_device_reads_how_often_an_agency_was_asked(tmp_path: Path) -> None:
    """As the operator counts it, and nobody else; of an agency that the log admitted; kept over a restart."""
    hood = NeighbourhoodSimulator()
    leaf, _ = hood.announced()
    for entry in (
        asked(hood, leaf, day=0, count=2),
        asked(hood, leaf, day=1),
        DeletionsAsked(agency=hood.agency.agency, request=leaf, day=TODAY_US, count=9).sign(signing_key(77)),
        asked(hood, leaf, day=2, agency="nobody"),
    ):
        hood.log.append(entry)
    with State.open(tmp_path / "state.db") as state:
        follower = follow(hood, state)
        read_on(follower, hood.log)
        assert follower.kept.void == 2
    with State.open(tmp_path / "state.db") as state:
        record = follow(hood, state).record(hood.agency.agency)
    assert (record.asked, record.deletions_asked, record.turned_away) == (1, 3, 0)


def test_a_count_of_an_unknown_form_is_passed_over() -> None:
    """What a later version may log beside it teaches nothing, and hides nothing: the log is read on."""
    hood = NeighbourhoodSimulator()
    leaf, _ = hood.announced()
    hood.log.append(asked(hood, leaf, day=0).replace(b"deletions-asked", b"deletions-other"))
    hood.log.append(b"no envelope at all")
    hood.log.append(asked(hood, leaf, day=1, count=4))
    with followed(hood) as follower:
        assert follower.record(hood.agency.agency).deletions_asked == 4
        assert follower.kept.void == 2
