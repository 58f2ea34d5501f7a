"""From a person in the frame to the MQTT message, and from the approval to the opened bundle: real processes.

python -m tests.benchmarks.end_to_end [--json FILE] [--runs N] [--events N]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from broker.wire.encoding import parse_json, parse_time
from tests.benchmarks.harness import Row, against_goal, main
from tests.benchmarks.latency import FRAME_S, start_to_message_s
from tests.neighbourhood.support import Parties, wait_for
from tests.support_mqtt import Listener

ENTERS_S = 2.0  # the scene's actor is drawn from here on
RUNS = 3
EVENTS = 120
LATEST_S = 1.5 * FRAME_S + 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds."""

    person_to_message: float
    seen_to_message: float
    approval_to_opened: float


def once(folder: Path) -> Measured:
    """Film, tell, ask, approve, fetch and open, once."""
    parties = Parties(folder)
    try:
        parties.start_hood()
        parties.start_owner()
        parties.make_device("porch", kind="doorbell")
        with Listener(parties.facts.mqtt_port, "latchstring/porch/event") as heard:
            parties.start_device("porch")
            parties.start_agency()
            wait_for(lambda: bool(heard.messages), "the first event")
            at_us, payload = heard.messages[0]
            seen_us = parse_time(parse_json(payload, max_bytes=10_000)["start"])
            parties.wait_for_clip("porch")
        leaf = parties.post()
        summary = parties.wait_for_state("porch", leaf, "offered")
        entered_us = summary["clips"][0]["start_us"] + int(ENTERS_S * 1_000_000)
        began = time.monotonic()
        parties.approve("porch", leaf)
        (bundle,) = parties.fetch(leaf)
        opened = parties.open(bundle["path"])
        assert opened["verified"]
        return Measured((at_us - entered_us) / 1e6, (at_us - seen_us) / 1e6, time.monotonic() - began)
    finally:
        parties.stop_all()


def benchmark(arguments: argparse.Namespace) -> Sequence[Row]:
    """Run several times and take medians."""
    found = []
    for _ in range(arguments.runs or RUNS):
        with tempfile.TemporaryDirectory() as folder:
            found.append(once(Path(folder)))
    with tempfile.TemporaryDirectory() as name:
        late = sorted(start_to_message_s(Path(name), events=arguments.events or EVENTS))
    return [
        against_goal(
            "person in the frame to the MQTT message, s", statistics.median(one.person_to_message for one in found), 1.0
        ),
        against_goal(
            "frame in which motion is certain to the MQTT message, s",
            statistics.median(one.seen_to_message for one in found),
            0.15,
        ),
        against_goal(
            f"the same at 1280x720, 99th percentile of {len(late)} events, s", late[len(late) * 99 // 100], LATEST_S
        ),
        against_goal(
            "approval to the opened bundle (three commands), s",
            statistics.median(one.approval_to_opened for one in found),
            6.0,
        ),
    ]


if __name__ == "__main__":
    main(__doc__.splitlines()[0], benchmark, ("--runs", int), ("--events", int))
