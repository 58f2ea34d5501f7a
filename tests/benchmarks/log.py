"""The public log: how it grows, what intake and history cost, what a stranger's check and a device's reading take.

    python -m tests.benchmarks.log [--json FILE] [--entries N]

`--entries`: the largest size, a million by default (some 12 minutes, and 2 GB of a disk for as long). The parts can be
run by themselves: `log_growth`, `log_submit`, `log_device`.
"""

import argparse
from collections.abc import Sequence

from rich.console import Console

from tests.benchmarks import log_device, log_growth, log_submit
from tests.benchmarks.harness import Row, against_goal, main

SUBMIT_GOAL_MS = 2.0
CHECK_GOAL_MS = 2.0
SUBMITTED = 5_000


def benchmark(arguments: argparse.Namespace) -> Sequence[Row]:
    """Measure every part, the largest last."""
    most = arguments.entries or log_growth.SIZES[-1]
    submitted = [log_submit.measured(SUBMITTED) for _ in range(3)]
    rows = [
        against_goal(
            "submitted: rules, signature, history, disk, proof, ms an entry",
            sorted(one[0] for one in submitted)[1],
            SUBMIT_GOAL_MS,
        ),
        against_goal("checked by a stranger, ms an entry", sorted(one[1] for one in submitted)[1], CHECK_GOAL_MS),
        *log_device.device_rows(min(most, log_device.ENTRIES)),
    ]
    growths = log_growth.measure([size for size in log_growth.SIZES if size <= most] or [most])
    Console().print(log_growth.table(growths))
    return [*rows, *log_growth.rows(growths)]


if __name__ == "__main__":
    main("The public log.", benchmark, ("--entries", int))
