"""What every benchmark shares: rows, a table, and `--json FILE`."""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` is ours over the peer's, or over the goal where there is no peer."""

    name: str
    ours: float
    peer: float | None
    ratio: float
    goal: float
    met: bool


def against_goal(name: str, ours: float, goal: float) -> Row:
    """Return a row that has no peer: `goal` is in the unit of `ours`."""
    return Row(name, ours, None, ours / goal, goal, ours <= goal)


def against_peer(name: str, ours: float, peer: float, goal: float) -> Row:
    """Return a row measured beside a peer in the same run: `goal` is the ratio to stay under."""
    return Row(name, ours, peer, ours / peer, goal, ours / peer <= goal)


def median_of(runs: int, measure: Callable[[], float]) -> float:
    """Return the median of several measurements."""
    return statistics.median(measure() for _ in range(runs))


def main(
    description: str, benchmark: Callable[[argparse.Namespace], Sequence[Row]], *options: tuple[str, type]
) -> None:
    """Parse the flags, run, print the table, and write the rows where told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")
    for name, kind in options:
        parser.add_argument(name, type=kind)
    arguments = parser.parse_args()
    rows = benchmark(arguments)
    table = Table("", "ours", "peer", "ratio", "goal", "met")
    for row in rows:
        peer = "" if row.peer is None else f"{row.peer:.4g}"
        table.add_row(
            row.name, f"{row.ours:.4g}", peer, f"{row.ratio:.2f}", f"{row.goal:g}", "yes" if row.met else "no"
        )
    Console().print(table)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
