"""One story of appending, publishing and recovering, with a fault at every step, over a folder and over a bucket."""

import itertools
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.log.errors import LogError
from broker.log.storage.folder import FolderStorage
from broker.log.storage.objects import ObjectStorage
from broker.wire.notes import Checkpoint
from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, parse_tile_path
from tests.log.buckets import DONE, LOST, Fate, FaultyBucket, MemoryBucket, Timer, late, make_storage
from tests.log.lossydisk import Choose, LossyDisk, PowerGoneError
from tests.log.story import Story
from tests.log.support import POLICY

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def quick() -> Iterator[Path]:
    """Give a folder in memory where there is one: nothing in here is really synced, and there are hundreds."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


class House:
    """A machine whose process may be killed, and whose power may go, again and again."""

    def __init__(self, folder: Path) -> None:
        self._folders = (folder / str(number) for number in itertools.count())
        root = next(self._folders)
        root.mkdir()
        self.disk = LossyDisk(root)
        self.story = Story()

    def live(self, *, ends_at: int = 0) -> bool:
        """Run a process that ends before its sync number `ends_at`; False if it came to the end of the story."""
        self.disk.syncs, self.disk.ends_at = 0, ends_at
        storage = FolderStorage(self.disk.root / "log", fsync=self.disk.fsync)
        try:
            self.story.live(storage)
        except PowerGoneError:
            return True
        finally:
            storage.release()
        return False

    def lose_power(self, choose: Choose) -> None:
        """Go on with what the disk kept."""
        target = next(self._folders)
        self.disk.power_cut(target, choose)
        self.disk.close()
        self.disk = LossyDisk(target)

    def end(self) -> None:
        assert not self.live()
        self.story.check()
        self.disk.close()


KEPT: dict[str, Choose] = {
    "nothing-unsynced-is-kept": lambda options: options[0],
    "all-is-kept": lambda options: options[-1],
    "some-is-kept": Random(4).choice,
}


@pytest.mark.slow
@pytest.mark.parametrize("kept", KEPT)
def test_power_cut_at_every_sync(quick: Path, kept: str) -> None:
    """Wherever the power goes, what was acknowledged is there, nothing forks, and the story goes on to its end."""
    for at in itertools.count(1):
        with tempfile.TemporaryDirectory(dir=quick) as folder:
            house = House(Path(folder))
            was_cut = house.live(ends_at=at)
            if was_cut:
                house.lose_power(KEPT[kept])
                house.end()
        if not was_cut:
            break
    assert at > 50


@pytest.mark.slow
@pytest.mark.parametrize("later", [1, 2, 3, 30])
def test_power_cut_after_a_kill_at_every_sync(quick: Path, later: int) -> None:
    """What a killed process had not synced, and the next one built on or told, does not vanish with the power."""
    for at in itertools.count(1):
        with tempfile.TemporaryDirectory(dir=quick) as folder:
            house = House(Path(folder))
            was_cut = house.live(ends_at=at)
            if was_cut:
                house.live(ends_at=later)
                house.lose_power(KEPT["nothing-unsynced-is-kept"])
                house.end()
        if not was_cut:
            break


@pytest.mark.slow
@settings(max_examples=40)  # each is up to five lives
@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_any_history_of_kills_and_power_cuts(quick: Path, ends: list[tuple[bool, int]], chance: Random) -> None:
    """Killed or without power, again and again, with any part of the unsynced kept: one log, without a hole."""
    with tempfile.TemporaryDirectory(dir=quick) as folder:
        house = House(Path(folder))
        for power, at in ends:
            house.live(ends_at=at)
            if power:
                house.lose_power(chance.choice)
        house.end()


class Cloud:
    """A bucket behind a bad line, and whoever writes the log in it: the same process, or a new one after each fault."""

    def __init__(self, fates: Mapping[int, Fate], *, attempts: int = 1, dies: bool = False) -> None:
        self.memory = MemoryBucket()
        self.line = FaultyBucket(self.memory, fates)
        self.timer = Timer()
        self.story = Story()
        self._attempts = attempts
        self._dies = dies

    def live(self, *, most_lives: int = 12) -> int:
        """Go through the story; returns how often a fault ended a life."""
        storage = make_storage(self.line, self.timer, attempts=self._attempts)
        for life in range(most_lives):
            try:
                self.story.live(storage)
            except LogError:
                if self._dies:
                    storage = make_storage(self.line, self.timer, attempts=self._attempts)
                continue
            self.line.settle()
            self.check()
            return life
        raise AssertionError(f"{most_lives} lives were not enough; failed: {self.line.failed}")

    def check(self) -> None:
        """Hold the bucket, as it was after each write, to the contract."""
        heads, published = self.history()
        self.story.check([*heads, *published])
        assert [head.size for head in heads] == sorted(head.size for head in heads)
        assert [one.size for one in published] == sorted(one.size for one in published)
        reader = make_storage(self.memory, self.timer)
        assert reader.get("head") == reader.get("checkpoint")
        story = Story([])
        story.told, story.published = self.story.told, self.story.published
        story.live(reader)

    def history(self) -> tuple[list[Checkpoint], list[Checkpoint]]:
        heads: list[Checkpoint] = []
        published: list[Checkpoint] = []
        bucket = MemoryBucket()
        for key, data in self.memory.written:
            bucket.objects[key] = data
            if key == "head" and (note := make_storage(bucket, self.timer).get("head")):
                heads.append(POLICY.check(note))
            if key == "checkpoint":
                published.append(POLICY.check(data))
                assert published[-1].size <= heads[-1].size  # never ahead of the head
            if key.startswith("tile/"):  # never before a head covers it
                tile = parse_tile_path(key)
                level = 0 if isinstance(tile.level, str) else tile.level
                assert (tile.index * TILE_WIDTH + tile.width) << (TILE_HEIGHT * level) <= heads[-1].size
        return heads, published


def calls() -> int:
    cloud = Cloud({})
    assert cloud.live() == 0
    return cloud.line.calls


KINDS = st.sampled_from([LOST, DONE]) | st.builds(late, st.integers(1, 40))
FATES = [LOST, DONE, *(late(after) for after in (1, 3, 5, 6, 8, 13, 30))]


@pytest.mark.parametrize("dies", [False, True], ids=["opened-again", "another-process"])
@pytest.mark.parametrize("fate", FATES, ids=str)
def test_each_call_to_a_bucket_fails(fate: Fate, dies: bool) -> None:
    """Lost, done but reported as failed, or done later: whichever call it is, the log is whole and has not forked."""
    lives = [Cloud({at: fate}, dies=dies).live() for at in range(1, calls() + 1)]
    assert sum(lives) > 40


@pytest.mark.parametrize("fate", FATES, ids=str)
def test_a_retry_hides_what_one_call_lost(fate: Fate) -> None:
    """With retries no single fault is seen by the sequencer at all."""
    for at in range(1, calls() + 1):
        assert Cloud({at: fate}, attempts=3).live() == 0


@given(
    st.dictionaries(
        st.integers(1, 90), st.sampled_from([LOST, DONE]) | st.builds(late, st.integers(1, 40)), max_size=9
    ),
    st.booleans(),
    st.integers(1, 3),
)
def test_any_history_of_faults_at_a_bucket(fates: dict[int, Fate], dies: bool, attempts: int) -> None:
    """Faults in any number and order: one log, without a hole, and never published ahead of its head."""
    Cloud(fates, attempts=attempts, dies=dies).live()


def complaint_of(story: Story, storage: ObjectStorage) -> str:
    """Live, and return what the writer was told in the end; nothing if all went well."""
    try:
        story.live(storage, adopt=True)
    except LogError as error:
        return str(error)
    return ""


def test_a_suspended_writer_can_not_undo_what_the_next_one_did() -> None:
    """Whichever call a writer slept before while another took its log over: it is told, and moves nothing any more."""
    complaints = []
    for at in range(1, calls() + 1):
        cloud = Cloud({})
        next_one = Story([2, 1])

        def take_over(cloud: Cloud = cloud, next_one: Story = next_one) -> None:
            assert not complaint_of(next_one, make_storage(cloud.memory, cloud.timer))

        sleeper = FaultyBucket(cloud.memory, {}, before={at: take_over})
        complaints.append(complaint_of(cloud.story, make_storage(sleeper, cloud.timer)))
        last = Story([1])
        assert not complaint_of(last, make_storage(cloud.memory, cloud.timer))
        heads, published = cloud.history()
        last.check([*heads, *published, *cloud.story.seen, *next_one.seen])
        for story in (cloud.story, next_one):
            assert last.told[: len(story.told)] == story.told
        for sizes in ([head.size for head in heads], [one.size for one in published]):
            assert sizes == sorted(sizes)
    told = [complaint for complaint in complaints if complaint]
    assert len(told) > 30
    assert not any("\n" in complaint for complaint in told)
