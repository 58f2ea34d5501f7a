"""How long an owner waits at the console, in the browser: medians of several rounds, each in a fresh unlocked process.

    python -m tests.benchmarks.console [--json FILE] [--rounds 5]

A household of real processes; its clip is 60 s of 1280x720 at 15 pictures a second, 2 Mbit/s, with a face in it. Times
run from the click to what is drawn. For hiding faces the console is held to one core.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from broker import logs
from tests.benchmarks.console_page import ms_to_element, ms_to_picture, weight
from tests.benchmarks.harness import Row, against_goal, main
from tests.benchmarks.processes import cpu_s
from tests.console.browsing import browser
from tests.console.footage import CONTINUOUS, Take
from tests.console.memory import family
from tests.console.owner import Owner, owner_at
from tests.console.pictures import face_film
from tests.console.serving import Console, console_of
from tests.console.support import MINUTE_US, PASSPHRASE, PORCH, Household

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROUNDS = 5
FILM_S = 60
WITHIN_MS = 1_200_000
DECIDE = "#decide-title"  # the page that shows what they get ends with it


class FilmHousehold(Household):
    """Whose doorbell has filmed one minute, large."""

    def takes(self, name: str) -> list[Take]:
        if name != PORCH:
            return super().takes(name)
        film = face_film(self.folder / "large.mp4", width=1280, height=720, fps=15, seconds=FILM_S)
        return [Take(f"file:{film}", time.time_ns() // 1_000 - 20 * MINUTE_US, CONTINUOUS)]


def benchmark(arguments: argparse.Namespace) -> Sequence[Row]:
    """Measure."""
    logs.configure(level=50)
    with tempfile.TemporaryDirectory() as folder:
        household = FilmHousehold(Path(folder))
        try:
            household.start()
            leaf = household.offered(PORCH)
            with browser() as chromium:
                found = _waits(household, chromium, leaf, rounds=arguments.rounds or ROUNDS)
                faces_s, wall_s = _faces_s(household, chromium, leaf)
        finally:
            household.stop_all()
    ms = {name: statistics.median(times) for name, times in found.items()}
    print(
        f"faces: {FILM_S / faces_s:.2f} times as fast as filmed, by one core's time; here {FILM_S / wall_s:.2f} times"
    )
    return [
        against_goal("unlock: from the click to home, ms", ms["unlock"], 1_000),
        against_goal("a clip's first picture after the click, ms", ms["first picture"], 300),
        against_goal("the same once it was open, ms", ms["first picture again"], 300),
        against_goal("trim a minute without re-encoding: to what they get, ms", ms["trim"], 300),
        against_goal("hide faces: seconds a second of film, on one core", faces_s / FILM_S, 1.0),
        against_goal("the page, all its files, kB", ms["bytes"] / 1e3, 500),
    ]


def _waits(household: Household, chromium: "Browser", leaf: str, *, rounds: int) -> dict[str, list[float]]:
    """Return what was measured, by name; each round begins with a process that never opened anything."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    homes = [household.home(PORCH)]
    with (
        console_of(household.folder / "console", homes, household.owner_key) as console,
        owner_at(console, chromium) as owner,
    ):
        owner.page.goto(console.link())
        for _ in range(rounds):
            owner.at_lock.wait_for()
            found["bytes"].append(float(weight(owner.page)["bytes"]))
            owner.page.get_by_label("Passphrase", exact=True).fill(PASSPHRASE)
            found["unlock"].append(ms_to_element(owner.page, "Unlock", "article"))
            owner.request(leaf)
            owner.page.get_by_role("button", name="Play: Recording").first.wait_for()
            for name in ("first picture", "first picture again"):
                found[name].append(ms_to_picture(owner.page, "Play: Recording"))
                owner.page.keyboard.press("Escape")
                owner.page.get_by_role("dialog").wait_for(state="detached")
            found["trim"].append(_trimmed_ms(owner, leaf))
            _locked(owner, console)
    return found


def _trimmed_ms(owner: Owner, leaf: str) -> float:
    owner.review(leaf, PORCH)
    owner.choose(0)
    owner.edit(0)
    start = owner.page.get_by_role("slider", name="Start of what they get")
    for _ in range(3):
        start.press("ArrowRight")
    ms = ms_to_element(owner.page, "See what they get", DECIDE)
    assert owner.page.get_by_text("Sealed as filmed", exact=True).count() == 1
    return ms


def _locked(owner: Owner, console: Console) -> None:
    owner.go("Home")  # where unlocking leads again
    cells = console.cells()
    owner.press("Lock")
    owner.at_lock.wait_for()
    console.next_cell(cells)
    owner.page.reload()


def _faces_s(household: Household, chromium: "Browser", leaf: str) -> tuple[float, float]:
    """Return how many seconds of a core's time hiding the faces of the whole clip takes, and how many by the clock."""
    homes = [household.home(PORCH)]
    with (
        console_of(household.folder / "pinned", homes, household.owner_key) as console,
        owner_at(console, chromium) as owner,
    ):
        core = max(os.sched_getaffinity(0))
        for pid in family(console.pid):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})
        owner.page.set_default_timeout(WITHIN_MS)
        owner.open()
        owner.review(leaf, PORCH)
        owner.choose(0)
        owner.edit(0)
        owner.page.get_by_role("switch", name="Hide faces").click()
        before_s = cpu_s(console.pid)
        ms = ms_to_element(owner.page, "See what they get", DECIDE, within_ms=WITHIN_MS)
        print(owner.page.get_by_text("hidden in").first.inner_text())
        return cpu_s(console.pid) - before_s, ms / 1e3


if __name__ == "__main__":
    main(__doc__ or "", benchmark, ("--rounds", int))
