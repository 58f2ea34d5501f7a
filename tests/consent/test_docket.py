"""What becomes of announcements: matched, offered, kept with their rule, judged again, and forgotten in the end."""

from pathlib import Path

import pytest

from broker.wire.geo import Point
from broker.wire.rules import DAY_US
from device.consent.docket import MOST_AWAITED
from device.consent.errors import ConsentError
from device.consent.requests import SCHEMA, RequestStore
from device.vault.state import Schema, State
from tests.consent.decisions import approval, approve, offered
from tests.consent.support import OWNER, Home
from tests.simulators import NOW_US, PLACE, NeighbourhoodSimulator


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
