"""Mutes and notices: what the owner is told of, once, and what they don't want to hear of. Nothing is decided by it."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.rules import DAY_US
from device.consent.docket import KEPT_US
from device.consent.errors import ConsentError
from device.consent.mutes import MOST_MUTES, Mute, MuteKind
from tests.consent.decisions import approval, approve, offered
from tests.consent.support import OWNER, Home
from tests.link.support import quick_folder
from tests.simulators import NOW_US, NeighbourhoodSimulator

MINE = [(MuteKind.AGENCY, "springfield-pd"), (MuteKind.INCIDENT, "package-theft"), (MuteKind.DEVICE, "front-door")]
OTHERS = [(MuteKind.AGENCY, "shelbyville-pd"), (MuteKind.INCIDENT, "arson")]


def muted_now(home: Home) -> set[str]:
    muted = home.mutes.muted()
    return {stored.leaf for stored in home.desk.requests() if muted(stored)}


@pytest.mark.parametrize(("kind", "value"), MINE)
def test_what_is_muted_keeps_nobody_waiting(home: Home, kind: MuteKind, value: str) -> None:
    """By agency, type of incident or device: it is not counted, stays on offer, and counts again when that is over."""
    leaf = offered(home)
    assert home.mutes.waiting() == 1
    home.mutes.mute(kind, value)
    assert (home.mutes.waiting(), muted_now(home), home.states()) == (0, {leaf}, {leaf: "offered"})
    home.mutes.unmute(kind, value)
    assert (home.mutes.waiting(), muted_now(home)) == (1, set())


@pytest.mark.parametrize(("kind", "value"), OTHERS)
def test_a_mute_is_of_what_it_names_alone(home: Home, kind: MuteKind, value: str) -> None:
    """Another agency's silence, or another incident's, says nothing of this one."""
    leaf = offered(home)
    home.mutes.mute(kind, value)
    assert (home.mutes.waiting(), muted_now(home), home.mutes.take_notices()) == (1, set(), [leaf])


def test_a_mute_covers_some_and_not_the_rest(home: Home) -> None:
    """Of two requests of one agency the one about a muted type of incident is left out."""
    leaf = offered(home)
    other, payload = home.hood.announced(incident="arson", case="2")
    home.consider((other, payload))
    home.mutes.mute(MuteKind.INCIDENT, "arson")
    assert (home.mutes.waiting(), muted_now(home), home.mutes.take_notices()) == (1, {other}, [leaf])


def test_a_mute_is_no_decision(home: Home) -> None:
    """Nothing stands in the ledger, the clips stay pinned, and what is muted can be approved as ever."""
    leaf = offered(home)
    home.mutes.mute(MuteKind.DEVICE, "front-door")
    assert list(home.ledger.entries()) == []
    assert home.shelf.pinned == {leaf: {"c1"}}
    approve(home, approval(leaf).sign(OWNER))
    assert home.states() == {leaf: "approved"}


def test_mutes_last_and_keep_their_date(home: Home) -> None:
    """They survive a restart; muting again makes none newer, and to take back what is not muted does nothing."""
    home.mutes.mute(MuteKind.AGENCY, "springfield-pd")
    home.now_us += DAY_US
    home.mutes.mute(MuteKind.AGENCY, "springfield-pd")
    home.mutes.mute(MuteKind.DEVICE, "front-door")
    home.mutes.unmute(MuteKind.INCIDENT, "arson")
    home.close()
    home.open()
    assert home.mutes.every() == [
        Mute(MuteKind.AGENCY, "springfield-pd", NOW_US),
        Mute(MuteKind.DEVICE, "front-door", NOW_US + DAY_US),
    ]


@pytest.mark.parametrize(
    ("kind", "value", "complaint"),
    [
        (MuteKind.AGENCY, "", "no agency's id"),
        (MuteKind.AGENCY, "Springfield PD", "no agency's id"),
        (MuteKind.AGENCY, "springfield-pd\n", "no agency's id"),
        (MuteKind.AGENCY, "a" * 64, "no agency's id"),
        (MuteKind.INCIDENT, "parade", "there are arson, assault"),
        (MuteKind.DEVICE, "garage", "this is front-door"),
        (MuteKind.DEVICE, "x" * 5_000_000, "this is front-door"),
    ],
)
def test_what_is_nothing_can_not_be_muted(home: Home, kind: MuteKind, value: str, complaint: str) -> None:
    """A mute that could never match is refused in one short line, and nothing is kept."""
    with pytest.raises(ConsentError, match=complaint) as refused:
        home.mutes.mute(kind, value)
    assert len(str(refused.value)) < 400
    assert home.mutes.every() == []


def test_mutes_are_bounded(home: Home) -> None:
    """So many and no more; one that is there already, or that makes room, is no new one."""
    for number in range(MOST_MUTES):
        home.mutes.mute(MuteKind.AGENCY, f"agency-{number}")
    with pytest.raises(ConsentError, match="take some back"):
        home.mutes.mute(MuteKind.AGENCY, "one-more")
    home.mutes.mute(MuteKind.AGENCY, "agency-7")
    home.mutes.unmute(MuteKind.AGENCY, "agency-7")
    home.mutes.mute(MuteKind.AGENCY, "one-more")
    assert len(home.mutes.every()) == MOST_MUTES


def test_a_request_is_noticed_once(home: Home) -> None:
    """The first who asks gets it, nobody after, a restarted device included; there are no reminders."""
    leaf = offered(home)
    assert home.mutes.take_notices() == [leaf]
    assert home.mutes.take_notices() == []
    home.now_us += DAY_US
    home.close()
    home.open()
    assert home.mutes.take_notices() == []
    assert home.mutes.waiting() == 1


def test_what_is_not_on_offer_is_not_noticed(home: Home) -> None:
    """No match, and what was decided or has ended before anybody asked, is nothing to tell."""
    leaf, payload = home.hood.announced()
    home.consider((leaf, payload))
    assert home.states() == {leaf: "unmatched"}
    assert home.mutes.take_notices() == []
    home.shelf.film("c1")
    home.consider()
    home.desk.decline(leaf)
    assert home.mutes.take_notices() == []


def test_a_notice_comes_when_the_mute_is_over(home: Home) -> None:
    """What was muted when it came is told once it is not, if it still waits; what was told before is not told again."""
    told = offered(home)
    assert home.mutes.take_notices() == [told]
    home.mutes.mute(MuteKind.DEVICE, "front-door")
    late, declined = (home.hood.announced(case=case) for case in ("2", "3"))
    home.consider(late, declined)
    assert home.mutes.take_notices() == []
    home.desk.decline(declined[0])
    home.mutes.unmute(MuteKind.DEVICE, "front-door")
    assert home.mutes.take_notices() == [late[0]]


def test_notices_go_with_their_request(home: Home) -> None:
    """What is forgotten of a request takes along that it was noticed: the table grows no longer than theirs."""
    offered(home)
    home.mutes.take_notices()
    home.now_us += 30 * DAY_US + KEPT_US + DAY_US
    home.docket.expire()
    home.docket.expire()
    assert home.states() == {}
    assert home.state.query("SELECT * FROM notices") == []


def test_of_two_who_ask_at_once_one_is_told(home: Home) -> None:
    """However many consoles ask together, each request goes to exactly one of them."""
    home.shelf.film("c1")
    announced = [home.hood.announced(case=f"case {number}") for number in range(12)]
    home.consider(*announced)
    together = threading.Barrier(4)
    told: list[list[str]] = [[] for _ in range(4)]

    def ask(mine: list[str]) -> None:
        together.wait()
        for _ in range(3):
            mine += home.mutes.take_notices()

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(leaf for mine in told for leaf in mine) == sorted(leaf for leaf, _ in announced)


def restart(home: Home) -> None:
    home.close()
    home.open()


def decline_all(home: Home) -> None:
    for one in home.desk.requests():
        if one.state == "offered":
            home.desk.decline(one.leaf)


STEPS: dict[str, Callable[[Home], None]] = {
    "mute": lambda home: home.mutes.mute(MuteKind.INCIDENT, "arson"),
    "unmute": lambda home: home.mutes.unmute(MuteKind.INCIDENT, "arson"),
    "decline": decline_all,
    "restart": restart,
    "ask": lambda _home: None,
}


@given(st.lists(st.sampled_from(["arson", "theft", *STEPS]), max_size=12))
def test_in_whatever_order_things_happen(steps: list[str]) -> None:
    """A request is told at most once, and only while it waits and is not muted; at once where nothing is against it."""
    with quick_folder() as folder:
        home = Home(Path(folder), NeighbourhoodSimulator())
        home.shelf.film("c1")
        told: list[str] = []
        for number, step in enumerate(steps):
            if step not in STEPS:
                home.consider(home.hood.announced(incident=step, case=f"case {number}"))
                continue
            STEPS[step](home)
            due = {one.leaf for one in home.desk.requests() if one.state == "offered"} - muted_now(home) - set(told)
            new = home.mutes.take_notices()
            assert set(new) == due
            assert len(new) == len(due)
            told += new
        home.close()
