"""Decisions at the desk: what is kept before what, what can't be approved, and when sending stops."""

import threading
from typing import Any

import pytest

from broker.wire.records import FileDigest, Release
from broker.wire.rules import DAY_US
from device.consent.errors import ApprovalError, ConsentError, TransitionError
from tests.consent.decisions import BUNDLE, SEED, SHA, approval, approve, clip, offered
from tests.consent.support import CLIP_START_US, OWNER, Home
from tests.simulators import NOW_US, RECIPIENT, signing_key


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
    assert stored.upload_seed == SEED, "only it can ask for deletion"


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


def released(home: Home, leaf: str, **changes: Any) -> Release:
    """A release of the one clip, bent."""
    return Release(
        request=leaf, device="front-door", device_key=home.shelf.key.public, camera="main", kind="doorbell",
        recipient=RECIPIENT, clips=(clip(),), files=(FileDigest(name="clip-1.mp4", bytes=1, sha256="0" * 64),),
        made_at=NOW_US,
    ).model_copy(update=changes)  # fmt: skip


def test_a_derived_clip_lies_within_its_segments(home: Home) -> None:
    """What was re-encoded may show less than its segments, and nothing beyond; what is sealed shows just them."""
    leaf = offered(home)
    end = clip().end
    done = ("re-encoded",)
    for start_us, end_us in ((CLIP_START_US, end), (CLIP_START_US + 1, end - 1)):
        less = clip(start=start_us, end=end_us, transformations=done)
        home.desk.check_release(released(home, leaf, clips=(less,)))
    for start_us, end_us in ((CLIP_START_US - 1, end), (CLIP_START_US, end + 1), (end, CLIP_START_US)):
        more = clip(start=start_us, end=end_us, transformations=done)
        with pytest.raises(ConsentError, match="another time"):
            home.desk.check_release(released(home, leaf, clips=(more,)))
    with pytest.raises(ConsentError, match="another time"):
        home.desk.check_release(released(home, leaf, clips=(clip(start=CLIP_START_US + 1),)))
    with pytest.raises(ConsentError, match="did not film"):
        home.desk.check_release(released(home, leaf, clips=(clip(last_seq=9, transformations=done),)))
    with pytest.raises(ConsentError, match="did not film"):
        home.desk.check_release(released(home, leaf, clips=(clip(first_seq=3, last_seq=2, transformations=done),)))


def test_a_release_tells_of_rings_that_were_and_are_shown(home: Home) -> None:
    """The device signs for rings that it recorded, within the clips of the release, and for no others."""
    leaf = offered(home)
    home.shelf.rings = [CLIP_START_US, CLIP_START_US + 500_000, clip().end + 5]
    home.desk.check_release(released(home, leaf, rings=tuple(home.shelf.rings[:2])))
    with pytest.raises(ConsentError, match="did not record"):
        home.desk.check_release(released(home, leaf, rings=(CLIP_START_US + 1,)))
    with pytest.raises(ConsentError, match="another time"):
        home.desk.check_release(released(home, leaf, rings=(clip().end + 5,)))


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
