"""Decisions at the desk: what is kept before what, and what can't be approved."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.wire.geo import Point
from broker.wire.records import Approval, FileDigest, Release, SharedClip
from broker.wire.rules import DAY_US
from device.consent.docket import MOST_AWAITED
from device.consent.errors import ApprovalError, ConsentError, TransitionError
from device.consent.requests import SCHEMA, RequestStore
from device.vault.state import Schema, State
from tests.consent.support import CLIP_START_US, OWNER, Home
from tests.simulators import NOW_US, PLACE, RECIPIENT, NeighbourhoodSimulator, signing_key

BUNDLE = b"a sealed bundle"
SHA = hashlib.sha256(BUNDLE).hexdigest()
SEED = bytes(32)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path, NeighbourhoodSimulator())
    yield home
    home.close()


def clip(**changes: Any) -> SharedClip:
    fields: dict[str, Any] = {
        "file": "clip-1.mp4", "start": CLIP_START_US, "end": CLIP_START_US + 5_000_000, "first_seq": 0, "last_seq": 4,
        "transformations": (),
    }  # fmt: skip
    return SharedClip(**{**fields, **changes})


def approval(leaf: str, **changes: Any) -> Approval:
    fields: dict[str, Any] = {
        "request": leaf, "device": "front-door", "recipient": RECIPIENT, "clips": (clip(),),
        "files": (FileDigest(name="clip-1.mp4", bytes=3, sha256="0" * 64),), "bundle_bytes": len(BUNDLE),
        "bundle_sha256": SHA, "approved_at": NOW_US,
    }  # fmt: skip
    return Approval(**{**fields, **changes})


def approve(home: Home, envelope: bytes, *, sha: str = SHA, size: int = len(BUNDLE)) -> None:
    home.desk.approve(envelope, bundle="x.age", bundle_sha256=sha, bundle_bytes=size, upload_seed=SEED)


def offered(home: Home) -> str:
    home.shelf.film("c1")
    leaf, payload = home.hood.announced()
    home.consider((leaf, payload))
    assert home.states() == {leaf: "offered"}
    return leaf


def test_a_match_is_offered_and_its_clips_are_pinned(home: Home) -> None:
    """A request that the device has something for waits for the owner, and the clips wait with it."""
    leaf = offered(home)
    assert home.shelf.pinned == {leaf: {"c1"}}
    assert [name for name, _, _ in home.desk.offer(leaf[:8]).clips] == ["c1"]


def test_no_clip_in_the_window_is_no_match(home: Home) -> None:
    """Filmed at another time: nothing to offer."""
    home.shelf.film("c1", start_us=NOW_US - 5 * DAY_US)
    leaf, payload = home.hood.announced()
    home.consider((leaf, payload))
    assert home.states() == {leaf: "unmatched"}


def test_what_does_not_verify_leaves_no_row(home: Home) -> None:
    """Whoever can publish can't fill the state with rubbish; it is counted."""
    _, payload = home.hood.announced()
    home.consider(("0" * 64, payload), ("1" * 64, b"rubbish"), ("2" * 64, b""))
    assert home.states() == {}
    assert home.docket.refused_unverified == 2


def test_a_logged_request_that_breaks_a_rule_is_kept_with_its_rule(home: Home) -> None:
    """The owner can see what was refused in their name, and why."""
    leaf, payload = home.hood.announced(retention_days=400)
    home.consider((leaf, payload))
    (stored,) = home.desk.requests()
    assert (stored.state, stored.rule) == ("refused", "retention")


def test_an_approval_is_in_the_ledger_before_anything_can_be_sent(home: Home) -> None:
    """Approving writes the owner's signed words and makes the request one to send."""
    leaf = offered(home)
    envelope = approval(leaf).sign(OWNER)
    approve(home, envelope)
    (entry,) = home.ledger.entries()
    assert (entry.kind, entry.body["approval"]) == ("approved", envelope.decode())
    assert [stored.leaf for stored in home.desk.to_send()] == [leaf]
    assert home.ledger.verify(home.shelf.key.public) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"device": "garage"}, "for device garage"),
        ({"recipient": "age1" + "q" * 58}, "another recipient"),
        ({"approved_at": NOW_US + DAY_US}, "future"),
        ({"clips": (clip(end=CLIP_START_US + 61_000_000),)}, "longer than 60 s"),
        ({"clips": (clip(start=NOW_US, end=NOW_US + 1_000_000),)}, "nothing of the window"),
        ({"clips": (clip(file="clip-2.mp4"),)}, "each of its files"),
    ],
)
def test_an_approval_of_something_else_is_refused(home: Home, changes: dict[str, Any], complaint: str) -> None:
    """Another device, recipient, time or file than what is at hand: nothing is kept."""
    leaf = offered(home)
    with pytest.raises(ApprovalError, match=complaint):
        approve(home, approval(leaf, **changes).sign(OWNER))
    assert list(home.ledger.entries()) == []
    assert home.states() == {leaf: "offered"}


def test_only_the_owners_key_approves(home: Home) -> None:
    """The device's own key, or any other, approves nothing."""
    leaf = offered(home)
    for key in (signing_key(99), home.shelf.key.signing):
        with pytest.raises(ApprovalError, match="not the owner's"):
            approve(home, approval(leaf).sign(key))


def test_another_bundle_than_the_approved_one_is_refused(home: Home) -> None:
    """What lies ready has to be what was approved."""
    leaf = offered(home)
    for sha, size in (("f" * 64, len(BUNDLE)), (SHA, 1)):
        with pytest.raises(ConsentError, match="not the one"):
            approve(home, approval(leaf).sign(OWNER), sha=sha, size=size)
    assert home.states() == {leaf: "offered"}


def test_a_request_is_approved_once(home: Home) -> None:
    """A second approval, of the same or of another bundle, is refused: no bundle is sent in two versions."""
    leaf = offered(home)
    approve(home, approval(leaf).sign(OWNER))
    with pytest.raises(TransitionError):
        approve(home, approval(leaf, bundle_sha256="e" * 64).sign(OWNER), sha="e" * 64)
    with pytest.raises(TransitionError):
        home.desk.decline(leaf)


def test_declining_is_kept_and_ends_it(home: Home) -> None:
    """A no stands in the ledger, lets the clips go, and can't be turned into a yes."""
    leaf = offered(home)
    home.desk.decline(leaf)
    assert [entry.kind for entry in home.ledger.entries()] == ["declined"]
    assert home.shelf.pinned == {}
    with pytest.raises(TransitionError):
        approve(home, approval(leaf).sign(OWNER))


def test_a_late_approval_is_refused(home: Home) -> None:
    """Once a request has expired or was withdrawn, yes comes too late."""
    leaf = offered(home)
    home.now_us += 15 * DAY_US
    with pytest.raises(ApprovalError, match="expired"):
        approve(home, approval(leaf).sign(OWNER))
    home.docket.expire()
    assert home.states() == {leaf: "expired"}


def test_a_withdrawal_closes_what_waits(home: Home) -> None:
    """When the agency withdraws, the request is no longer offered, though nobody announces that; nor is it again."""
    leaf = offered(home)
    home.hood.update(leaf, "withdrawn")
    home.consider()
    assert home.states() == {leaf: "withdrawn"}
    home.consider((leaf, home.hood.log.logged(1).encode()))
    assert home.states() == {leaf: "withdrawn"}
    with pytest.raises(ConsentError):
        approve(home, approval(leaf).sign(OWNER))


def test_each_step_of_a_release_is_kept_over_a_restart(home: Home) -> None:
    """Approved, released and received are where they were after the state was opened again."""
    leaf = offered(home)
    approve(home, approval(leaf).sign(OWNER))
    home.close()
    home.open()
    home.desk.releasing(leaf)
    home.close()
    home.open()
    assert [stored.leaf for stored in home.desk.to_send()] == [leaf]
    home.desk.releasing(leaf)  # on its way already: nothing new to keep
    home.desk.received(leaf, b"{}")
    assert home.states() == {leaf: "received"}
    assert [entry.kind for entry in home.ledger.entries()] == ["approved", "released", "received"]
    (stored,) = home.desk.requests()
    assert stored.upload_seed is None


def test_a_release_says_only_what_was_filmed(home: Home) -> None:
    """The device signs a release for its own segments at their own times, and for nothing else."""
    leaf = offered(home)
    release = Release(
        request=leaf, device="front-door", device_key=home.shelf.key.public, camera="main", kind="doorbell",
        recipient=RECIPIENT, clips=(clip(),), files=(FileDigest(name="clip-1.mp4", bytes=1, sha256="0" * 64),),
        made_at=NOW_US,
    )  # fmt: skip
    home.desk.check_release(release)
    wrong: list[dict[str, Any]] = [
        {"clips": (clip(last_seq=9),)},
        {"clips": (clip(end=CLIP_START_US + 9_000_000),)},
        {"device": "garage"},
        {"recipient": "age1" + "q" * 58},
    ]
    for changes in wrong:
        with pytest.raises(ConsentError):
            home.desk.check_release(release.model_copy(update=changes))
    home.desk.decline(leaf)
    with pytest.raises(ConsentError, match="declined"):
        home.desk.check_release(release)


def test_a_device_elsewhere_does_not_match(tmp_path: Path) -> None:
    """Outside the circle, the request is known and unmatched, whatever was filmed."""
    hood = NeighbourhoodSimulator()
    far = Point(PLACE.lat_e7 + 100_000, PLACE.lon_e7)
    home = Home(tmp_path, hood)
    home.shelf.film("c1")
    leaf, payload = hood.announced(area=hood.request().area.model_copy(update={"lat_e7": far.lat_e7}))
    home.consider((leaf, payload))
    assert home.states() == {leaf: "unmatched"}
    home.close()


def test_what_was_still_being_filmed_matches_later(home: Home) -> None:
    """A clip that reaches the ring just after the request was looked at is found; long after, nothing changes."""
    leaf, payload = home.hood.announced(end=NOW_US)
    home.consider((leaf, payload))
    assert home.states() == {leaf: "unmatched"}
    home.shelf.film("late", start_us=NOW_US - 10_000_000)
    home.now_us += 3_000_000
    home.consider()
    assert home.states() == {leaf: "offered"}
    assert home.shelf.pinned == {leaf: {"late"}}


def test_an_old_request_is_not_matched_again(home: Home) -> None:
    """Hours after the window nothing new is expected of it."""
    leaf, payload = home.hood.announced(end=NOW_US)
    home.consider((leaf, payload))
    home.shelf.film("late", start_us=NOW_US - 10_000_000)
    home.now_us += 3_600_000_000
    home.consider()
    assert home.states() == {leaf: "unmatched"}


def test_a_clock_that_is_behind_refuses_nothing_for_good(home: Home) -> None:
    """Before its clock is set a device sees requests from the future; they are judged once it is right."""
    home.shelf.film("c1")
    home.now_us = NOW_US - 400 * DAY_US
    leaf, payload = home.hood.announced()
    home.consider((leaf, payload))
    assert home.states() == {leaf: "announced"}
    home.now_us = NOW_US
    home.consider()
    assert home.states() == {leaf: "offered"}


def test_a_clock_that_is_ahead_refuses_nothing_for_good(home: Home) -> None:
    """What seems expired is not kept, so that it is considered when it is announced again."""
    home.shelf.film("c1")
    home.now_us = NOW_US + 400 * DAY_US
    leaf, payload = home.hood.announced()
    home.consider((leaf, payload))
    assert home.states() == {}
    home.now_us = NOW_US
    home.consider((leaf, payload))
    assert home.states() == {leaf: "offered"}


def test_nothing_is_sent_for_a_request_that_expired_meanwhile(home: Home) -> None:
    """Approved in time, and too late to send: it is closed before a byte leaves."""
    leaf = offered(home)
    approve(home, approval(leaf).sign(OWNER))
    home.now_us += 15 * DAY_US
    assert home.desk.releasing(leaf) is None
    assert home.states() == {leaf: "expired"}
    assert [entry.kind for entry in home.ledger.entries()] == ["approved"]


def test_sending_stops_when_the_request_is_withdrawn(home: Home) -> None:
    """On its way when the agency withdraws: only the receipt is asked for, and the ledger says what came of it."""
    leaf = offered(home)
    approve(home, approval(leaf).sign(OWNER))
    assert home.desk.releasing(leaf) is not None
    home.hood.update(leaf, "withdrawn")
    home.consider()
    assert home.states() == {leaf: "released"}
    sending = home.desk.releasing(leaf)
    assert sending is not None
    assert sending.closed_by == "withdrawn"
    # Only the inbox knows whether all had arrived; its word ends it, one way or the other.
    home.desk.failed(leaf, "the request was withdrawn: 3 of 15 bytes had arrived")
    assert home.states() == {leaf: "undelivered"}
    assert [entry.kind for entry in home.ledger.entries()] == ["approved", "released", "not-received"]
    assert home.desk.spent_bundles() == {"x.age"}


def test_what_was_approved_before_announcements_had_a_place_is_sent(home: Home) -> None:
    """An earlier version's announcement says nothing of its place: that the log holds the request is enough."""
    leaf = offered(home)
    approve(home, approval(leaf).sign(OWNER))
    with home.state.transaction() as tx:
        tx.execute("UPDATE requests SET announcement = x''")
    home.follower.begin_again()
    assert home.desk.releasing(leaf) is None
    assert home.states() == {leaf: "approved"}
    home.consider()
    assert home.desk.releasing(leaf) is not None


def test_a_receipt_counts_however_late_it_comes(home: Home) -> None:
    """Once released, expiry does not take the request away from under its receipt."""
    leaf = offered(home)
    approve(home, approval(leaf).sign(OWNER))
    home.desk.releasing(leaf)
    home.now_us += 15 * DAY_US
    home.docket.expire()
    home.desk.received(leaf, b"{}")
    assert home.states() == {leaf: "received"}


def test_decisions_from_two_sides_never_both_count(home: Home) -> None:
    """While the owner declines in one thread, the docket closes and reads in another: one outcome, and no error."""
    leaves = []
    home.shelf.film("c1")
    for number in range(20):
        leaf, payload = home.hood.announced(case=f"case {number}", expires_at=NOW_US + 1)
        home.consider((leaf, payload))
        leaves.append(leaf)
    home.now_us = NOW_US + 2
    refused = []

    def decline() -> None:
        for leaf in leaves:
            try:
                home.desk.decline(leaf)
            except TransitionError:
                refused.append(leaf)

    thread = threading.Thread(target=decline)
    thread.start()
    home.docket.expire()
    thread.join()
    states = home.states()
    declined = {str(entry.body["request"]) for entry in home.ledger.entries()}
    assert {leaf for leaf, state in states.items() if state == "declined"} == declined
    assert {leaf for leaf, state in states.items() if state == "expired"} == set(refused)


def test_what_ended_without_a_decision_is_forgotten_in_time(home: Home) -> None:
    """A month after its expiry a request nobody decided on is gone; a decision stays."""
    leaf = offered(home)
    other, payload = home.hood.announced(case="another", retention_days=400)
    home.consider((other, payload))
    home.desk.decline(leaf)
    assert home.states() == {leaf: "declined", other: "refused"}
    home.now_us += 60 * DAY_US
    home.docket.expire()
    assert home.states() == {leaf: "declined"}


def test_an_offer_grows_with_the_film(home: Home) -> None:
    """A clip of the window that reaches the ring after the first one is offered as well."""
    home.shelf.film("c1", start_us=NOW_US - 30_000_000)
    leaf, payload = home.hood.announced(end=NOW_US)
    home.consider((leaf, payload))
    home.shelf.film("c2", start_us=NOW_US - 5_000_000)
    home.now_us += 5_000_000
    home.consider()
    assert [clip for clip, _, _ in home.desk.offer(leaf).clips] == ["c1", "c2"]
    assert home.shelf.pinned == {leaf: {"c1", "c2"}}


@pytest.mark.slow
def test_what_waits_to_be_read_has_bounded_room(home: Home) -> None:
    """Announced by the hundred before the log is read so far: some wait, the rest is counted and comes again."""
    announced = []
    for number in range(MOST_AWAITED + 5):
        entry = home.hood.request(case=f"case {number}").sign(home.hood.agency_key)
        announced.append(home.hood.log.append(entry))
    home.docket.consider([(one.leaf, one.encode()) for one in map(home.hood.log.logged, announced)])
    assert list(home.states().values()) == ["announced"] * MOST_AWAITED
    assert home.docket.refused_unverified == 5


def test_a_state_of_an_earlier_version_keeps_what_was_decided(tmp_path: Path) -> None:
    """Announcements had another form then: those come again, and decisions stay."""
    first = Schema("requests", SCHEMA.versions[:1])
    with State.open(tmp_path / "state.db", schemas=[first]) as state, state.transaction() as tx:
        for leaf, how in (("aa", "declined"), ("bb", "offered"), ("cc", "received")):
            tx.execute(
                "INSERT INTO requests (leaf, state, rule, message, announcement, expires_us, settles_us, changed_us,"
                " approval) VALUES (?, ?, '', '', x'', 1, 1, 1, ?)",
                (leaf, how, b"{}" if how == "received" else None),
            )
    with State.open(tmp_path / "state.db", schemas=[SCHEMA]) as state:
        found = {stored.leaf: str(stored.state) for stored in RequestStore(state).every()}
    assert found == {"aa": "declined", "cc": "received"}
