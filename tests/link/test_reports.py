"""The device's voice at home: which call says what on which topic."""

import json
from collections.abc import Callable

from broker.wire import topics
from device.link.events import Happening
from device.link.outbox import Outbox
from device.link.reports import RING_LIFE_US, DeviceCard, Reporter
from device.link.retained import RetainedTable
from device.vault.state import State
from tests.link.support import health, open_outbox

CARD = DeviceCard(device="porch", name="Porch", kind="doorbell", version="0.1.0")
START_US = 1_700_000_000_000_000


def reporter(
    outbox: Outbox, retained: RetainedTable, *, wake: Callable[[], None] = lambda: None, tell_reviews: bool = True
) -> Reporter:
    """Return the voice of a doorbell."""
    return Reporter(CARD, outbox=outbox, retained=retained, wake=wake, tell_reviews=tell_reviews)


def phase(kind: str = "motion", of: str = "start") -> Happening:
    """Return one phase of an event."""
    return Happening(id="e1", type=kind, phase=of, at_us=START_US, start_us=START_US, end_us=None, score=1, clip=None)  # type: ignore[arg-type]


def values(retained: RetainedTable) -> dict[str, bytes]:
    """Return what the retained topics hold."""
    return {value.topic: value.payload for value in retained.newer_than(0)}


def test_phases_become_numbered_events_and_wake_the_link(state: State) -> None:
    """Start, update and end of one event are three messages of one id; the update is the one that may be dropped."""
    outbox = open_outbox(state)
    woken: list[bool] = []
    voice = reporter(outbox, RetainedTable(), wake=lambda: woken.append(True))
    woken.clear()
    for of in ("start", "update", "end"):
        with state.transaction() as tx:
            voice.happened(tx, phase(of=of))
    bodies = [json.loads(message.payload) for message in outbox.pending(after=0, limit=9, now_us=START_US)]
    assert [(body["id"], body["seq"], body["phase"]) for body in bodies] == [
        ("e1", 1, "start"),
        ("e1", 2, "update"),
        ("e1", 3, "end"),
    ]
    assert state.query("SELECT seq FROM outbox WHERE droppable") == [(2,)]
    assert len(woken) == 3


def test_a_ring_is_an_event_and_a_bell_that_does_not_ring_late(state: State) -> None:
    """Each press rings, and has its minute; the event that tells of it stays until it is delivered."""
    outbox = open_outbox(state)
    voice = reporter(outbox, RetainedTable())
    for of in ("start", "update", "end"):
        with state.transaction() as tx:
            voice.happened(tx, phase("ring", of))
    at_once = outbox.pending(after=0, limit=9, now_us=START_US)
    assert [message.leaf for message in at_once] == ["event", "ring", "event", "ring", "event"]
    late = outbox.pending(after=0, limit=9, now_us=START_US + RING_LIFE_US + 1)
    assert [message.leaf for message in late] == ["event", "event", "event"]


def test_states_go_to_the_retained_table_and_wake_only_when_they_change(state: State) -> None:
    """Discovery and motion are there from the start; saying the same again is no news."""
    retained = RetainedTable()
    woken: list[bool] = []
    voice = reporter(open_outbox(state), retained, wake=lambda: woken.append(True))
    assert set(values(retained)) == {topics.discovery("porch"), "latchstring/porch/motion"}
    woken.clear()
    voice.motion(on=True)
    voice.motion(on=True)
    voice.privacy(on=False)
    assert values(retained)["latchstring/porch/motion"] == b"ON"
    assert values(retained)["latchstring/porch/privacy"] == b"OFF"
    assert len(woken) == 2


def test_health_is_the_one_topic_at_qos_0(state: State) -> None:
    """It comes often, and the next one makes up for a lost one."""
    retained = RetainedTable()
    voice = reporter(open_outbox(state), retained)
    voice.health(health())
    voice.privacy(on=True)
    qos = {value.topic: value.qos for value in retained.newer_than(0)}
    assert qos.pop("latchstring/porch/health") == 0
    assert set(qos.values()) == {1}


def test_with_one_broker_nothing_tells_of_reviews(state: State) -> None:
    """Neither the number nor the sensor for it: a match must not show (silence says nothing)."""
    retained = RetainedTable()
    voice = reporter(open_outbox(state), retained, tell_reviews=False)
    before = values(retained)
    voice.reviews(3)
    assert values(retained) == before
    assert b"reviews" not in b"".join(before.values())
    apart = RetainedTable()
    reporter(open_outbox(state), apart).reviews(3)
    assert values(apart)["latchstring/porch/reviews"] == b"3"
