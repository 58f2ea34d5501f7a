"""Properties of the comparison between a clip's pictures and the statements of its capture."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.agency.seals import AlteredError, check_pictures
from broker.wire.records import SegmentStatement
from broker.wire.segments import WireAccessUnit, encode_segment, segment_digest
from tests.agency.support import FILMED_US, GOP, HEIGHT, WIDTH, coded_units, encoded, flip, mux

GROUPS = 8
Pieces = list[list[WireAccessUnit]]
SHAPES = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3_000_000)), min_size=1, max_size=4)


def filmed(
    shape: Sequence[tuple[int, int]], odd_us: int, *, open_gop: bool = False
) -> tuple[Pieces, list[SegmentStatement]]:
    """Return segments of (groups, silence before it in µs), placed in time, and their statements."""
    extradata, units = coded_units(encoded(GROUPS, open_gop=open_gop))
    pieces: Pieces = []
    statements: list[SegmentStatement] = []
    start_us, used = FILMED_US + odd_us, 0
    for groups, silence_us in shape:
        groups_left = min(groups, GROUPS - used)
        if not groups_left:
            break
        piece = units[used * GOP : (used + groups_left) * GOP]
        used += groups_left
        start_us += silence_us if statements else 0
        plain = encode_segment(codec="h264", width=WIDTH, height=HEIGHT, extradata=extradata, units=piece)
        place = (start_us - FILMED_US - odd_us) * 9 // 100 - piece[0].dts
        pieces.append([replace(unit, dts=unit.dts + place, pts=unit.pts + place) for unit in piece])
        statements.append(
            SegmentStatement(
                device="porch",
                camera="main",
                seq=len(statements),
                start=start_us,
                duration_us=groups_left * 1_000_000,
                sha256=segment_digest(plain),
                prev="0" * 64,
            )
        )
        start_us += groups_left * 1_000_000
    return pieces, statements


def check(folder: Path, pieces: Pieces, statements: Sequence[SegmentStatement]) -> None:
    path = folder / "clip-1.mp4"
    path.write_bytes(mux([unit for piece in pieces for unit in piece], encoded(GROUPS)))
    check_pictures(path, statements)


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, odd_us=st.integers(0, 1_000))
def test_any_shape(tmp_path_factory: pytest.TempPathFactory, shape: list[tuple[int, int]], odd_us: int) -> None:
    """However a film was cut into segments, and with whatever silences between them, it is found as it was signed."""
    pieces, statements = filmed(shape, odd_us)
    check(tmp_path_factory.mktemp("shape"), pieces, statements)


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 2**32))
def test_any_change(tmp_path_factory: pytest.TempPathFactory, shape: list[tuple[int, int]], seed: int) -> None:
    """A picture changed, emptied, left out or shown at another time is never taken for what was filmed."""
    pieces, statements = filmed(shape, 0)
    chance = random.Random(seed)
    piece = chance.choice(pieces)
    at = chance.randrange(len(piece) - 1)
    unit = piece[at]
    changes = {
        "bit": replace(unit, data=flip(unit.data, chance.randrange(len(unit.data)))),
        "pts": replace(unit, pts=unit.pts + chance.choice([-1, 1]) if unit.pts > unit.dts + 1 else unit.pts + 1),
        "empty": replace(unit, data=b"\x00\x00\x00\x01\x01"),
        "gone": None,
    }
    changed = changes[chance.choice(list(changes))]
    piece[at : at + 1] = [] if changed is None else [changed]
    with pytest.raises(AlteredError):
        check(tmp_path_factory.mktemp("change"), pieces, statements)


def test_open_groups_of_pictures(tmp_path: Path) -> None:
    """Pictures where decoding may begin, but that are no IDR pictures, are no keyframes to a device nor here."""
    pieces, statements = filmed([(GROUPS, 0)], 0, open_gop=True)
    assert [unit.keyframe for unit in pieces[0]].count(True) == 1
    check(tmp_path, pieces, statements)


def test_other_order(tmp_path: Path) -> None:
    """Two segments whose pictures changed places are not where they were filmed."""
    pieces, statements = filmed([(1, 0)] * 4, 0)
    one, two = pieces[1], pieces[2]
    moved = two[0].dts - one[0].dts
    pieces[1] = [replace(unit, dts=unit.dts - moved, pts=unit.pts - moved) for unit in two]
    pieces[2] = [replace(unit, dts=unit.dts + moved, pts=unit.pts + moved) for unit in one]
    with pytest.raises(AlteredError, match="segment 1"):
        check(tmp_path, pieces, statements)


def test_a_moment_too_late(tmp_path: Path) -> None:
    """A segment that is shown a fiftieth of a second late is noticed; the rounding of ticks is not."""
    pieces, statements = filmed([(1, 0), (1, 500_000)], 0)
    late = [[*pieces[0]], [replace(unit, dts=unit.dts + 1_800, pts=unit.pts + 1_800) for unit in pieces[1]]]
    with pytest.raises(AlteredError, match="not shown when"):
        check(tmp_path, late, statements)
    barely = [[*pieces[0]], [replace(unit, dts=unit.dts + 2, pts=unit.pts + 2) for unit in pieces[1]]]
    check(tmp_path, barely, statements)
