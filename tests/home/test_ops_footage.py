"""What the owner's tools see of what was filmed: a day, thumbnails and segments, sealed, strictly asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.wire.encoding import WireError
from device.consent.errors import ConsentError
from device.operations.footage import MOST_CLIPS, MOST_EVENTS, MOST_RUN_BYTES
from device.vault.clipfile import Header
from device.vault.clipindex import add_clip, new_clip
from device.vault.errors import ClipError
from device.vault.sealing import unseal
from device.vault.state import Transaction
from device.video.outputs import ClipEnded, ClipStarted, EventPhase, SegmentReady, Thumbnail
from tests.home.operating import Handlers, ask, happened, operations
from tests.home.support import Kept
from tests.video.support import START_US, coded, segments_of

SEGMENTS = segments_of(coded(45))
END_US = SEGMENTS[-1].end_us
PICTURE = b"\xff\xd8\xff a picture"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    kept.close()


@pytest.fixture
def filmed(kept: Kept) -> Kept:
    """One event with one clip, as the keeper keeps it."""
    common: dict[str, Any] = {"event": "e1", "kind": "motion", "start_us": START_US, "score": 50, "clip": "c1"}
    kept.keeper.sink(EventPhase(phase="start", end_us=None, at_us=START_US, **common))
    kept.keeper.sink(ClipStarted(clip="c1", start_us=SEGMENTS[0].start_us, event="e1"))
    for segment in SEGMENTS:
        kept.keeper.sink(SegmentReady(clip="c1", segment=segment))
    kept.keeper.sink(Thumbnail(clip="c1", at_us=START_US + 7, jpeg=PICTURE))
    kept.keeper.sink(EventPhase(phase="end", end_us=START_US + 9, at_us=END_US, **common))
    kept.keeper.sink(ClipEnded(clip="c1", end_us=END_US))
    kept.keeper.close()
    return kept


async def day(handlers: Handlers, from_us: int, until_us: int) -> dict[str, Any]:
    result, payload = await ask(handlers, "day", from_us=from_us, until_us=until_us)
    assert payload == b""
    return dict(result)


async def test_a_day_is_its_events_and_clips(filmed: Kept) -> None:
    """An event with its clip, the clip with its range, size and thumbnails; nothing more."""
    assert await day(operations(filmed), 0, 2 * START_US) == {
        "events": [
            {
                "event": "e1", "kind": "motion", "start_us": START_US, "end_us": START_US + 9, "score": 50,
                "clip": "c1", "label": None, "labelled_by": None,
            }
        ],
        "clips": [
            {
                "clip": "c1", "start_us": SEGMENTS[0].start_us, "end_us": END_US, "open": False,
                "bytes": (filmed.folder / "clips" / "c1.clip").stat().st_size, "thumbnails": [START_US + 7],
            }
        ],
        "more": False,
    }  # fmt: skip


async def test_a_clip_under_way_is_shown_as_far_as_it_is(kept: Kept) -> None:
    """What is being written is open, ends where it has come to, and grows; its event has no end yet."""
    handlers = operations(kept)
    happened(kept.state, "e1", start_us=START_US, end_us=None, clip="c1")
    kept.ring.begin("c1", camera="main", start_us=START_US, event="e1", kind="motion")
    kept.ring.append_thumbnail("c1", b"sealed", at_us=START_US + 3)
    found = await day(handlers, START_US + 10, START_US + 20)
    assert [(event["event"], event["end_us"], event["clip"]) for event in found["events"]] == [("e1", None, "c1")]
    (clip,) = (await day(handlers, 0, 2 * START_US))["clips"]
    assert (clip["open"], clip["end_us"], clip["thumbnails"]) == (True, START_US + 3, [START_US + 3])


@pytest.mark.parametrize(
    ("start_us", "end_us", "there"),
    [(100, 200, True), (50, 100, False), (50, 101, True), (199, 300, True), (200, 300, False), (50, 300, True),
     (100, 100, True), (199, 199, True), (200, 200, False), (50, 50, False), (50, None, True), (200, None, False)],
)  # fmt: skip
async def test_an_event_is_of_each_day_that_it_touches(
    kept: Kept, start_us: int, end_us: int | None, there: bool
) -> None:
    """[from, until) holds what began before its end and ended after its beginning; a moment is where it is."""
    happened(kept.state, "e1", start_us=start_us, end_us=end_us, clip=None)
    assert [event["event"] for event in (await day(operations(kept), 100, 200))["events"]] == ["e1"] * there


async def test_a_clip_that_made_room_is_not_named(filmed: Kept) -> None:
    """An event whose clip is gone stays, and offers nothing to play; nor does one whose clip never came."""
    happened(filmed.state, "e2", kind="ring", start_us=START_US + 1, end_us=None, clip="never")
    happened(filmed.state, "e3", kind="ring", start_us=START_US + 2, end_us=None, clip=None)
    found = await day(operations(filmed), 0, 2 * START_US)
    assert [(event["event"], event["clip"]) for event in found["events"]] == [("e1", "c1"), ("e2", None), ("e3", None)]


def put_clips(tx: Transaction, starts_us: dict[str, int]) -> None:
    """Index clips of a microsecond each, which have no files."""
    for clip, start_us in starts_us.items():
        header = Header(clip=clip, device="porch", camera="main", event="", kind="ring", start_us=start_us)
        add_clip(tx, new_clip(header, 1))
    tx.execute("UPDATE clips SET until_us = start_us + 1, end_us = start_us + 1")


async def test_a_day_has_bounds(kept: Kept) -> None:
    """Of more events or clips than are told the newest are, in order, and that there are more."""
    handlers = operations(kept)
    with kept.state.transaction() as tx:
        rows = [(f"e{n:05}", "ring", 1_000 + n, 1_000 + n, 100, f"c{n}", None, None) for n in range(MOST_EVENTS)]
        tx.execute_many("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        put_clips(tx, {f"c{number}": 1_000 + number for number in range(MOST_CLIPS)})
    found = await day(handlers, 0, START_US)
    assert (len(found["events"]), len(found["clips"]), found["more"]) == (MOST_EVENTS, MOST_CLIPS, False)
    happened(kept.state, "newest", kind="ring", start_us=9_000, end_us=9_000, clip=None)
    found = await day(handlers, 0, START_US)
    assert (len(found["events"]), found["more"]) == (MOST_EVENTS, True)
    assert [found["events"][place]["event"] for place in (0, -1)] == ["e00001", "newest"]
    with kept.state.transaction() as tx:
        tx.execute("DELETE FROM events")
        put_clips(tx, {"last": 9_000})
    found = await day(handlers, 0, START_US)
    assert (len(found["clips"]), found["more"]) == (MOST_CLIPS, True)
    assert [found["clips"][place]["clip"] for place in (0, -1)] == ["c1", "last"]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"from_us": 1}, {"from_us": 1, "until_us": 2, "device": "porch"}, {"from_us": 2, "until_us": 2},
     {"from_us": 3, "until_us": 2}, {"from_us": -1, "until_us": 2}, {"from_us": 0, "until_us": 1 << 53},
     {"from_us": 0, "until_us": 10**400}, {"from_us": False, "until_us": True}, {"from_us": 1.0, "until_us": 2},
     {"from_us": "1", "until_us": "2"}, {"from_us": None, "until_us": 2}],
    ids=str,
)  # fmt: skip
async def test_a_range_is_taken_strictly(kept: Kept, arguments: dict[str, Any]) -> None:
    """Both ends, whole numbers, in order, since 1970 and exact in JSON: nothing is guessed."""
    with pytest.raises(WireError):
        await ask(operations(kept), "day", **arguments)


async def test_only_sealed_bytes_are_handed_out(filmed: Kept) -> None:
    """Thumbnails and segments come as they lie in the ring: the owner opens them, the daemon can't."""
    handlers = operations(filmed)
    thumbnail = (await ask(handlers, "thumbnail", clip="c1", number=0))[1]
    sizes, run = await ask(handlers, "read_segments", clip="c1", first=0, count=len(SEGMENTS))
    for sealed in (thumbnail, run[: sizes[0]]):
        assert sealed.startswith(b"age-encryption.org/v1\n")
    assert PICTURE not in thumbnail
    assert not any(segment.units[0].data[:64] in run for segment in SEGMENTS)
    assert unseal(thumbnail, filmed.owner.identity) == PICTURE


async def test_a_run_is_its_segments_one_after_the_other(filmed: Kept) -> None:
    """Sizes and bytes agree with what one at a time gives, from any segment on, as many as there are."""
    handlers = operations(filmed)
    single = [(await ask(handlers, "read_segment", clip="c1", number=n))[1] for n in range(len(SEGMENTS))]
    assert len(single) == len((await ask(handlers, "segments", clip="c1"))[0]) == 3
    for first, count in ((0, 3), (0, 1), (1, 2), (2, 1), (1, 1_000), (0, 10**30)):
        sizes, run = await ask(handlers, "read_segments", clip="c1", first=first, count=count)
        assert run == b"".join(single[first : first + count])
        assert sizes == [len(one) for one in single[first : first + count]]


async def test_a_run_is_bounded(kept: Kept) -> None:
    """As many segments as fit, and one at least, however large: who wants more asks on from there."""
    handlers, size = operations(kept), MOST_RUN_BYTES // 5 * 2
    kept.ring.begin("c1", camera="main", start_us=START_US, event="", kind="motion")
    for number in range(3):
        start_us = START_US + number * 1_000_000
        statement = kept.keeper._chain.sign(start_us=start_us, duration_us=1_000_000, sha256="0" * 64)
        kept.ring.append_segment(
            "c1", bytes([number]) * size, statement=statement, start_us=start_us, duration_us=1_000_000, sha256="0" * 64
        )
    assert (await ask(handlers, "read_segments", clip="c1", first=0, count=3))[0] == [size, size]
    assert (await ask(handlers, "read_segments", clip="c1", first=2, count=3)) == ([size], b"\x02" * size)
    assert [len(one) for one in kept.ring.read_run("c1", first=0, count=3, most_bytes=1)] == [size]


@pytest.mark.parametrize(
    ("op", "arguments", "complaint"),
    [
        ("thumbnail", {"clip": "c1", "number": 1}, "no thumbnail 1"),
        ("thumbnail", {"clip": "c1", "number": -1}, "no thumbnail -1"),
        ("read_segment", {"clip": "c1", "number": -1}, "no segment -1"),
        ("read_segments", {"clip": "c1", "first": 3, "count": 1}, "no segment 3"),
        ("read_segments", {"clip": "c1", "first": -3, "count": 1}, "no segment -3"),
        ("read_segments", {"clip": "c1", "first": 10**30, "count": 1}, "no segment"),
        ("read_segments", {"clip": "c2", "first": 0, "count": 1}, "not in the ring"),
        ("read_segments", {"clip": "../state", "first": 0, "count": 1}, "not in the ring"),
        ("thumbnail", {"clip": "/etc/passwd", "number": 0}, "not in the ring"),
        ("thumbnail", {"clip": "c1\0", "number": 0}, "not in the ring"),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_said_so(filmed: Kept, op: str, arguments: dict[str, Any], complaint: str) -> None:
    """A number beyond the end, a clip that is gone, a path that is none: one line, and no bytes."""
    with pytest.raises((ConsentError, ClipError), match=complaint):
        await ask(operations(filmed), op, **arguments)


@pytest.mark.parametrize(
    ("op", "arguments"),
    [
        ("thumbnail", {"clip": "c1"}),
        ("thumbnail", {"clip": "c1", "number": True}),
        ("thumbnail", {"clip": 1, "number": 0}),
        ("read_segments", {"clip": "c1", "first": 0}),
        ("read_segments", {"clip": "c1", "first": 0, "count": 0}),
        ("read_segments", {"clip": "c1", "first": 0, "count": -1}),
        ("read_segments", {"clip": "c1", "first": 0.0, "count": 1}),
        ("read_segments", {"clip": ["c1"], "first": 0, "count": 1}),
        ("segments", {"clip": "c1", "more": 1}),
    ],
)
async def test_footage_is_asked_for_strictly(filmed: Kept, op: str, arguments: dict[str, Any]) -> None:
    """Exactly an operation's arguments, each of its type, and no bytes besides."""
    with pytest.raises(WireError):
        await ask(operations(filmed), op, **arguments)
    with pytest.raises(WireError, match="no bytes"):
        await ask(operations(filmed), "day", b"x", from_us=0, until_us=1)


async def test_a_damaged_segment_costs_the_run_it_is_in(filmed: Kept) -> None:
    """Nothing damaged is handed out as if it were whole; what lies before it can still be read."""
    handlers, path = operations(filmed), filmed.folder / "clips" / "c1.clip"
    damaged = bytearray(path.read_bytes())
    middle = filmed.ring.segments("c1")[1]
    damaged[middle.offset + middle.length // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ClipError, match="CRC"):
        await ask(handlers, "read_segments", clip="c1", first=0, count=3)
    assert len((await ask(handlers, "read_segments", clip="c1", first=0, count=1))[0]) == 1
