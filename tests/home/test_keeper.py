"""What filming hands out is kept, sealed and told; and on a full disk the owner is told, too."""

import json
from pathlib import Path

import pytest

from broker.wire.segments import decode_segment
from device.vault.check import check
from device.vault.sealing import unseal
from device.vault.state import State
from device.video.outputs import ClipEnded, ClipStarted, EventPhase, Output, SegmentReady, Thumbnail
from tests.home.support import Kept
from tests.vault.support import SmallDisk
from tests.video.support import START_US, coded, segments_of

SEGMENTS = segments_of(coded(60))


def phase(of: str, *, kind: str = "motion", event: str = "e1") -> EventPhase:
    return EventPhase(
        event=event, kind=kind, phase=of, start_us=START_US, end_us=None, at_us=START_US, score=50, clip="c1",  # type: ignore[arg-type]
    )  # fmt: skip


def story(clip: str = "c1", event: str = "e1") -> list[Output]:
    """Return what an event with one clip hands out."""
    return [
        phase("start", event=event),
        ClipStarted(clip=clip, start_us=SEGMENTS[0].start_us, event=event),
        *(SegmentReady(clip=clip, segment=segment) for segment in SEGMENTS),
        Thumbnail(clip=clip, at_us=START_US, jpeg=b"\xff\xd8\xff a picture"),
        phase("end", event=event),
        ClipEnded(clip=clip, end_us=SEGMENTS[-1].end_us),
    ]


def test_a_clip_is_kept_sealed_and_in_one_chain(tmp_path: Path) -> None:
    """Segments come out of the ring as they went in, for the owner alone; the store checks out without any key."""
    kept = Kept(tmp_path)
    for output in story():
        kept.keeper.sink(output)
    kept.keeper.close()
    found = kept.ring.segments("c1")
    assert [one.start_us for one in found] == [segment.start_us for segment in SEGMENTS]
    for one, segment in zip(found, SEGMENTS, strict=True):
        opened = decode_segment(unseal(kept.ring.read_sealed(one), kept.owner.identity))
        assert [unit.data for unit in opened.units] == [unit.data for unit in segment.units]
    assert check(tmp_path / "clips", kept.state, kept.key.public).clean
    for path in (tmp_path / "clips").iterdir():
        data = path.read_bytes()
        assert b"a picture" not in data
        assert SEGMENTS[0].units[0].data[:64] not in data
    kept.close()


def test_an_event_and_its_message_are_kept_together(tmp_path: Path) -> None:
    """Each phase is one numbered message; the event's row has its first clip and its last phase."""
    kept = Kept(tmp_path)
    for output in (phase("start"), phase("update"), phase("end"), phase("start", kind="ring", event="r1")):
        kept.keeper.sink(output)
    kept.keeper.close()
    waiting = kept.outbox.pending(after=0, limit=10, now_us=START_US)
    assert [message.leaf for message in waiting] == ["event", "event", "event", "event", "ring"]
    assert [message.seq for message in waiting if message.seq] == [1, 2, 3, 4]
    rows = kept.state.query("SELECT event, kind, clip FROM events ORDER BY event")
    assert rows == [("e1", "motion", "c1"), ("r1", "ring", "c1")]
    kept.close()


def test_a_full_disk_loses_footage_and_says_so(tmp_path: Path) -> None:
    """With no room at all, events are kept and told, lost segments are counted, and filming never hangs or fails."""
    (tmp_path / "clips").mkdir(mode=0o700)
    kept = Kept(tmp_path, disk=SmallDisk(tmp_path / "clips", 6_000))
    for output in story():
        kept.keeper.sink(output)
    kept.keeper.close()
    counters = kept.keeper.counters
    assert kept.failures == []
    assert counters.storage_full
    assert counters.segments_lost > 0
    assert counters.events == 1
    assert check(tmp_path / "clips", kept.state, kept.key.public).sound
    kept.close()


def test_it_recovers_once_there_is_room(tmp_path: Path) -> None:
    """When the disk has room again, the next clip is whole and the warning is gone."""
    (tmp_path / "clips").mkdir(mode=0o700)
    disk = SmallDisk(tmp_path / "clips", 6_000)
    kept = Kept(tmp_path, disk=disk)
    for output in story():
        kept.keeper.sink(output)
    while kept.keeper.waiting:
        pass
    disk.size = 10_000_000
    for output in story("c2", "e2"):
        kept.keeper.sink(output)
    kept.keeper.close()
    assert not kept.keeper.counters.storage_full
    assert len(kept.ring.segments("c2")) == len(SEGMENTS)
    kept.close()


def test_what_can_not_be_kept_ends_the_daemon_not_the_film(tmp_path: Path) -> None:
    """If the state itself breaks, the failure is handed on once, and whoever films is never left waiting."""
    kept = Kept(tmp_path)
    kept.state.close()
    for output in story() * 40:
        kept.keeper.sink(output)
    kept.keeper.close()
    assert len(kept.failures) == 1


@pytest.mark.parametrize("times", [1, 2])
def test_closing_keeps_what_was_handed_over(tmp_path: Path, times: int) -> None:
    """Close returns once all is on disk, and closing again is fine."""
    kept = Kept(tmp_path)
    for output in story():
        kept.keeper.sink(output)
    for _ in range(times):
        kept.keeper.close()
    kept.state.close()
    with State.open(tmp_path / "state.db", read_only=True) as state:
        assert state.query("SELECT count(*) FROM records")[0][0] == len(SEGMENTS) + 2


def test_an_event_that_a_power_cut_left_open_is_ended_at_the_next_start(tmp_path: Path) -> None:
    """A collector hears the end of what it heard the start of, once, with the next number."""
    kept = Kept(tmp_path)
    kept.keeper.sink(phase("start"))
    kept.close()
    again = Kept(tmp_path)
    again.close()
    with State.open(tmp_path / "state.db", read_only=True) as state:
        assert state.query("SELECT end_us IS NOT NULL FROM events") == [(1,)]
        said = [json.loads(payload) for (payload,) in state.query("SELECT payload FROM outbox ORDER BY id")]
    assert [(one["phase"], one["seq"]) for one in said] == [("start", 1), ("end", 2)]
