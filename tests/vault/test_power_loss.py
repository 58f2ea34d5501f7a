"""Power lost at every step of recording, evicting, deciding and recovering: what was acknowledged is still there."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from device.vault.clipring import ClipRing
from device.vault.ledger import Ledger
from device.vault.openclips import MAX_WAITING
from device.vault.sealing import seal
from device.vault.seals import CaptureChain
from device.vault.state import State
from tests.vault.support import (
    DEVICE_KEY,
    PLAIN_MARK,
    RECIPIENT,
    SECOND_US,
    START_US,
    Clock,
    Cut,
    Home,
    PowerCutError,
    TearingDisk,
    home,
)

MAX_BYTES = 24_000
MEMORY = Path("/dev/shm")


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory where there is one: a simulated cut needs no real fsync, and there are hundreds."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@dataclass
class Acknowledged:
    """What the vault said was done, as a caller would remember it."""

    segments: set[int] = field(default_factory=set)
    clips: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    decisions: list[str] = field(default_factory=list)


def live(vault: Home, cut: Cut, done: Acknowledged) -> None:
    """Record four clips, more than fit, and decide on each."""
    for number in range(4):
        clip = f"c{number}"
        vault.begin(clip, at_s=number * 10)
        done.clips.add(clip)
        for second in range(number * 10, number * 10 + 2):
            vault.segment(clip, at_s=second)
            done.segments.add(second)
        vault.ring.append_thumbnail(clip, seal(PLAIN_MARK, [RECIPIENT]), at_us=START_US)
        vault.ring.end(clip, end_us=START_US + (number * 10 + 2) * SECOND_US)
        done.ended.add(clip)
        with vault.state.transaction() as tx:
            cut("decide: begun")
            vault.ledger.append(tx, "declined", {"clip": clip}, START_US)
            cut("decide: entry written")
            tx.execute("INSERT INTO decisions VALUES (?)", (clip,))
            cut("decide: change written")
        done.decisions.append(clip)
        cut("decide: done")


def run_until_cut(folder: Path, cut: Cut, done: Acknowledged, part: float = 0.5) -> bool:
    """Live until the power goes; False if it never did."""
    try:
        with home(folder, max_bytes=MAX_BYTES, disk=TearingDisk(cut, part), step=cut) as vault:
            live(vault, cut, done)
    except PowerCutError:
        return True
    return False


def assert_sound(folder: Path, done: Acknowledged) -> None:
    """Start again, and hold the vault to what it acknowledged."""
    with home(folder, max_bytes=MAX_BYTES) as vault:
        report = vault.check()
        assert report.clean, [str(finding) for finding in report.findings]
        infos = vault.ring.clips(0, 2 * START_US)
        kept = [info.clip for info in infos if info.until_us > info.start_us]
        held = {
            (segment.start_us - START_US) // SECOND_US for info in infos for segment in vault.ring.segments(info.clip)
        }
        # All that was acknowledged is here, but for whole clips older than all that are left.
        oldest = min((int(clip[1:]) for clip in kept), default=0)
        assert {second for second in done.segments if second // 10 >= oldest} <= held
        assert held <= {10 * number + second for number in range(4) for second in range(2)}
        assert oldest == 0 or len(done.clips) > 2
        assert all(info.end_us is not None for info in infos)
        decided = [entry.body["clip"] for entry in vault.ledger.entries()]
        assert decided == sorted(row[0] for row in vault.state.query("SELECT clip FROM decisions"))
        assert decided[: len(done.decisions)] == done.decisions
        assert vault.ring.usage().bytes <= MAX_BYTES
        # And life goes on, in the same chain.
        head = vault.chain.head
        vault.record("after", at_s=100)
        assert vault.chain.head.seq == head.seq + 2
        assert vault.check().clean
    for path in folder.rglob("*"):
        assert not path.is_file() or PLAIN_MARK not in path.read_bytes()


@pytest.mark.slow
def test_power_cut_at_every_step(quick: Path) -> None:
    """For each step there is: cut there, start again, and nothing acknowledged is lost, torn or doubled."""
    number = 0
    while True:
        folder, cut, done = quick / str(number), Cut(number), Acknowledged()
        if not run_until_cut(folder, cut, done, part=(number % 5) / 4):
            break
        assert_sound(folder, done)
        number += 1
    assert number > 60
    assert {name.split(":")[0] for name in cut.seen} == {"create", "append", "settle", "evict", "disk", "decide"}


@pytest.mark.slow
def test_power_cut_in_a_long_clip(quick: Path) -> None:
    """Around the steps where what waits for the index is committed, nothing acknowledged is lost or doubled."""
    count = MAX_WAITING + 3

    def film(vault: Home, said: list[int]) -> None:
        vault.begin("long", at_s=0)
        for second in range(count):
            vault.segment("long", at_s=second, size=60)
            said.append(second)
        vault.ring.end("long", end_us=START_US + count * SECOND_US)

    probe = Cut()
    with home(quick / "probe", disk=TearingDisk(probe), step=probe) as vault:
        film(vault, [])
    # From the last segments before the rows are committed to the clip's end, which commits the rest.
    first = probe.seen.index("settle: rows written") - 8
    assert probe.seen.count("settle: rows written") == 2
    for at in range(first, len(probe.seen)):
        cut, said, folder = Cut(at), list[int](), quick / str(at)
        with suppress(PowerCutError), home(folder, disk=TearingDisk(cut), step=cut) as vault:
            film(vault, said)
        with home(folder) as vault:
            held = [(segment.start_us - START_US) // SECOND_US for segment in vault.ring.segments("long")]
            assert held in (said, [*said, len(said)])
            assert vault.chain.head.seq == len(held) - 1
            assert vault.check().findings == ()
            assert_rebuilt_alike(folder, vault)


def test_who_asked_before_start_up_signs_after_what_it_found(tmp_path: Path) -> None:
    """A chain that was looked at while its table lagged goes on behind the last segment on disk, not among them."""
    with home(tmp_path) as vault:
        vault.begin("a", at_s=0)
        vault.segments("a", range(3))
    with State.open(tmp_path / "state.db") as state:
        chain = CaptureChain(state, DEVICE_KEY, device="porch", camera="door")
        assert chain.head.seq == -1
        ring = ClipRing(
            tmp_path / "clips",
            state,
            device="porch",
            max_bytes=MAX_BYTES,
            max_age_s=1_000,
            pinned_share=0.5,
            clock=Clock(),
        )
        assert ring.recovered.indexed == 3
        assert chain.head.seq == 2
        vault = Home(tmp_path, state, ring, chain, Ledger(state, DEVICE_KEY), Clock())
        vault.record("b", at_s=10)
        assert chain.head.seq == 4
        assert vault.check().findings == ()


def assert_rebuilt_alike(folder: Path, vault: Home) -> None:
    """Hold the index to what the files alone say: one made anew beside it has the same rows, and the same chain."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        shutil.copytree(folder / "clips", Path(name) / "clips")
        with home(Path(name)) as anew:
            for table in ("clips", "records"):
                rows = f"SELECT * FROM {table} ORDER BY 1, 2"
                assert anew.state.query(rows) == vault.state.query(rows)
            if vault.ring.usage().clips:
                assert anew.chain.head == vault.chain.head


@pytest.mark.slow
def test_power_cut_while_recovering(quick: Path) -> None:
    """A crash inside start-up is a crash like any other: the next start finishes it."""
    for first, torn in (
        ("append: record written", 1.0),
        ("create: file made", 1.0),
        ("disk: record torn", 0.7),
        ("disk: file torn", 0.4),
        ("evict: file removed", 1.0),
    ):
        probe = Cut()
        run_until_cut(quick / f"probe {first}", probe, Acknowledged(), torn)
        at = len(probe.seen) - 1 - probe.seen[::-1].index(first)
        number = 0
        while True:
            folder, done = quick / f"{first} {number}", Acknowledged()
            assert run_until_cut(folder, Cut(at), done, torn)
            again = Cut(number)
            try:
                with home(folder, max_bytes=MAX_BYTES, disk=TearingDisk(again, torn), step=again):
                    pass
            except PowerCutError:
                assert_sound(folder, done)
                number += 1
                continue
            assert_sound(folder, done)
            break
        assert number > 0 or first == "create: file made"


CHILD = """
import os, sys
from pathlib import Path
from tests.vault.support import Cut, home, SECOND_US, START_US
with home(Path(sys.argv[1]), max_bytes=60_000) as vault:
    number = vault.chain.head.seq + 1
    while True:
        clip = f"k{number:06}-{os.getpid()}"  # one that was killed before its first segment keeps its name
        vault.begin(clip, at_s=number)
        for _ in range(3):
            vault.segment(clip, at_s=number)
            print("segment", number, file=sys.stderr, flush=True)
            number += 1
        vault.ring.end(clip, end_us=START_US + number * SECOND_US)
        with vault.state.transaction() as tx:
            vault.ledger.append(tx, "declined", {"clip": clip}, START_US)
        print("decision", number, file=sys.stderr, flush=True)
"""


@pytest.mark.slow
def test_killed_again_and_again(tmp_path: Path) -> None:
    """A real process, killed by SIGKILL in the middle of its work, eight times over one store."""
    decisions = 0
    for lines in (1, 3, 4, 7, 12, 18, 25, 33):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as child:
            assert child.stderr is not None
            said = [child.stderr.readline().split() for _ in range(lines)]
            os.kill(child.pid, signal.SIGKILL)
            said += [line.split() for line in child.stderr if line.endswith("\n")]
        odd = [" ".join(words) for words in said if len(words) != 2]
        assert not odd, odd
        last = max(int(number) for word, number in said if word == "segment")
        decisions += sum(word == "decision" for word, _ in said)
        with home(tmp_path, max_bytes=60_000) as vault:
            report = vault.check()
            assert report.clean, [str(finding) for finding in report.findings]
            assert vault.chain.head.seq >= last
            starts = {
                (segment.start_us - START_US) // SECOND_US
                for info in vault.ring.clips(0, 2 * START_US)
                for segment in vault.ring.segments(info.clip)
            }
            assert last in starts
            found = sum(1 for _ in vault.ledger.entries())
            assert decisions <= found <= decisions + 1
            decisions = found


CONTINUOUS = """
import os, sys
from pathlib import Path
from tests.vault.support import home, SECOND_US, START_US
with home(Path(sys.argv[1]), max_bytes=400_000) as vault:
    number = vault.chain.head.seq + 1
    while True:
        clip = f"k{number:06}-{os.getpid()}"
        vault.begin(clip, at_s=number)
        for _ in range(70):
            vault.segment(clip, at_s=number, size=700)
            os.write(2, b"%d\\n" % number)
            number += 1
        vault.ring.end(clip, end_us=START_US + number * SECOND_US)
"""


@pytest.mark.slow
def test_killed_at_any_moment_while_filming_without_a_pause(tmp_path: Path) -> None:
    """Clip after clip, each longer than what may wait for the index, the oldest evicted; killed 24 times at random.

    What was said to be kept is there, or was evicted before what is there; no tail is torn, no number is doubled, and
    the index is what the files alone say.
    """
    random = Random(4)
    for _ in range(24):
        with subprocess.Popen(
            [sys.executable, "-c", CONTINUOUS, str(tmp_path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        ) as child:
            assert child.stderr is not None
            first = int(child.stderr.readline())
            time.sleep(random.uniform(0, 0.25))
            os.kill(child.pid, signal.SIGKILL)
            last = max([first, *(int(line) for line in child.stderr if line.endswith(b"\n"))])
        with home(tmp_path, max_bytes=400_000) as vault:
            report = vault.check()
            assert report.clean, [str(finding) for finding in report.findings]
            assert last <= vault.chain.head.seq <= last + 1
            held = sorted(
                (segment.start_us - START_US) // SECOND_US
                for info in vault.ring.clips(0, 2 * START_US)
                for segment in vault.ring.segments(info.clip)
            )
            assert held == list(range(held[0], vault.chain.head.seq + 1))
            assert vault.ring.usage().bytes <= 400_000
            assert_rebuilt_alike(tmp_path, vault)
    assert held[0] > 0, "nothing was evicted: film for longer"
