"""Power cuts while the log is read on: what is found afterwards is what was there before, or all of what is new."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from device.vault.state import State
from tests.consent.support import follow, read_on
from tests.consent.test_reading_follower import learnt
from tests.simulators import LogSimulator, NeighbourhoodSimulator

FILES = ("state.db", "state.db-journal")
READER = """
import sys
from pathlib import Path
from device.vault.state import State
from tests.consent.support import follow, read_on
from tests.consent.test_reading_power_cut import long_story
hood = long_story()
with State.open(Path(sys.argv[1]) / "state.db") as state:
    follower = follow(hood, state)
    print("reading", flush=True)
    for size in range(follower.size + 1, len(hood.log.entries) + 1):
        read_on(follower, hood.log.fork(size))
        print(size, flush=True)
"""


def cuts(state: State, step: Callable[[], object], folder: Path) -> list[Path]:
    """Take a step; returns what lay on disk at each of SQLite's instructions, without repetitions."""
    home, found = state.path.parent, list[Path]()
    last: list[bytes] = []

    def cut() -> int:
        now = [(home / name).read_bytes() for name in FILES if (home / name).exists()]
        if now != last:
            last[:] = now
            found.append(folder / str(len(found)))
            found[-1].mkdir(parents=True)
            for name in FILES:
                if (home / name).exists():
                    shutil.copy(home / name, found[-1] / name)
        return 0

    state._connection.set_progress_handler(cut, 1)
    step()
    state._connection.set_progress_handler(None, 0)
    cut()
    return found


def story(hood: NeighbourhoodSimulator) -> None:
    leaf, _ = hood.announced(case="one")
    hood.announced(case="one", purpose="again")
    hood.update(leaf, "withdrawn")
    hood.rotate(4)
    hood.announced(case="two")
    hood.revoke()


def long_story() -> NeighbourhoodSimulator:
    hood = NeighbourhoodSimulator()
    for number in range(60):
        leaf, _ = hood.announced(case=f"case {number // 2}", purpose=f"purpose {number}")
        if number % 3 == 0:
            hood.update(leaf, "withdrawn")
    return hood


@pytest.mark.parametrize("what", ["reading", "accusing", "beginning again"])
def test_a_cut_at_every_step_leaves_before_or_after(tmp_path: Path, what: str) -> None:
    """Wherever it is cut, head, edge and lessons belong together, and reading goes on from there to the same end."""
    hood = NeighbourhoodSimulator()
    with State.open(tmp_path / "home" / "state.db") as state:
        follower = follow(hood, state)
        read_on(follower, hood.log)
        other = LogSimulator()
        other.entries = [b"another"] * 7
        story(hood)
        if what != "reading":
            read_on(follower, hood.log)
        if what == "beginning again":
            follower.hear(other.head(), own=True)
        before = learnt(state)
        steps: dict[str, Callable[[], object]] = {
            "reading": lambda: read_on(follower, hood.log),
            "accusing": lambda: follower.hear(other.head(), own=True),
            "beginning again": follower.begin_again,
        }
        found = cuts(state, steps[what], tmp_path / "cuts")
        after = learnt(state)
    seen = []
    for at in found:
        with State.open(at / "state.db") as state:
            seen.append(learnt(state))
            if what == "reading":
                read_on(follow(hood, state), hood.log)
                assert learnt(state) == after
    assert all(one in (before, after) for one in seen)
    assert seen[0] == before
    assert seen[-1] == after
    assert len(seen) > 2


@pytest.mark.slow
@pytest.mark.parametrize("kills", [(1, 30, 60)])
def test_a_reader_that_is_killed_goes_on_where_it_was(tmp_path: Path, kills: tuple[int, ...]) -> None:
    """SIGKILL amid reading, again and again: what it said it had read is there, and in the end it is all the same."""
    root = Path(__file__).parents[2]
    hood = long_story()
    for until in kills:
        with subprocess.Popen(
            [sys.executable, "-c", READER, str(tmp_path / "home")], cwd=root, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            told = next(int(line) for line in process.stdout if line.strip().isdigit() and int(line) >= until)
            process.kill()
        with State.open(tmp_path / "home" / "state.db") as state:
            assert follow(hood, state).size >= told
    with State.open(tmp_path / "home" / "state.db") as state, State.open(tmp_path / "straight" / "state.db") as other:
        for one in (state, other):
            read_on(follow(hood, one), hood.log)
        assert learnt(state) == learnt(other)
