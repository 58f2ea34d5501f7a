"""The power fails at every step of the disk; what was acknowledged is there afterwards, and no more than was sent."""

import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.inbox import Inbox, InboxError
from broker.inbox.errors import Refused
from broker.wire.envelopes import public_bytes
from broker.wire.records import Receipt
from tests.inbox.support import INBOX_KEY, DyingDisk, PowerCut, World

DATA = random.Random(5).randbytes(90)
PIECES = (0, 30, 60, 90)
STEPS = 24


class Sender:
    """A device that goes on until it has a receipt, and remembers what it was told."""

    def __init__(self, world: World) -> None:
        self.envelope = world.promise(DATA)
        self.location = ""
        self.acknowledged = 0
        self.receipt = b""

    def send(self, inbox: Inbox) -> None:
        stored = inbox.create(self.envelope, len(DATA))
        assert self.location in {"", stored.id}, "the same envelope found another upload"
        self.location = stored.id
        assert stored.offset >= self.acknowledged, "acknowledged bytes are gone"
        while inbox.find(stored.id).offset < len(DATA):
            offset = inbox.find(stored.id).offset
            end = min(end for end in PIECES if end > offset)
            with inbox.writer(stored.id, offset) as writer:
                writer.append(DATA[offset:end])
                self.acknowledged = writer.commit()
        inbox.finish(stored.id)
        receipt = inbox.receipt(stored.id)
        assert self.receipt in {b"", receipt}, "a second receipt"
        self.receipt = receipt


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("torn", [0, 7, 1_000])
def test_every_step(tmp_path: Path, torn: int, after: bool) -> None:
    """Cut before and right after each step, with some of the unsynced bytes kept: the sender ends with one receipt."""
    cuts = 0
    for step in range(1, STEPS):
        world = World(tmp_path / str(step))
        sender = Sender(world)
        disk = DyingDisk(step, after=after, torn=torn)
        with suppress(PowerCut):
            sender.send(world.open(disk))
        cuts += disk.dead
        sender.send(world.open())
        world.clock.now_us += 1
        sender.send(world.open())
        assert Receipt.open(sender.receipt, key=public_bytes(INBOX_KEY)).bundle_bytes == len(DATA)
        (bundle,) = world.open().bundles(world.leaf)
        assert bundle.path.read_bytes() == DATA
        assert {path.name for path in bundle.path.parent.iterdir()} == {
            "envelope.dsse.json",
            "data",
            "receipt.dsse.json",
        }
    assert 10 < cuts < STEPS - 1, "every step was cut at, and the last run was not cut at all"


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(1, 14), st.booleans(), st.integers(0, 60)), max_size=6))
def test_cut_after_cut(tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, bool, int]]) -> None:
    """Cuts may follow one another, during recovery too."""
    world = World(tmp_path_factory.mktemp("cuts"))
    sender = Sender(world)
    for step, after, torn in cuts:
        with suppress(PowerCut):
            sender.send(world.open(DyingDisk(step, after=after, torn=torn)))
    sender.send(world.open())
    assert sender.acknowledged in {0, len(DATA)} or sender.receipt


def test_wrong_bytes_and_a_cut(tmp_path: Path) -> None:
    """Bytes that hash otherwise are gone after a cut at any step of their discarding."""
    for step in range(1, STEPS):
        world = World(tmp_path / str(step))
        with suppress(PowerCut, Refused):
            inbox = world.open(DyingDisk(step, after=False, torn=1_000))
            stored = inbox.create(world.promise(DATA), len(DATA))
            with inbox.writer(stored.id, 0) as writer:
                writer.append(bytes(len(DATA)))
                writer.commit()
            inbox.finish(stored.id)
        sender = Sender(world)
        sender.send(world.open())
        assert sender.receipt


def test_removal_and_a_cut(tmp_path: Path) -> None:
    """A swept upload is there whole, or not at all."""
    for step in range(1, 5):
        for after in (False, True):
            world = World(tmp_path / f"{step}{after}")
            world.open().create(world.promise(DATA), len(DATA))
            world.book.closed.add(world.leaf)
            with suppress(PowerCut):
                world.open(DyingDisk(step + 2, after=after, torn=0)).sweep()
            world.open().sweep()
            assert list((world.folder / "uploads").iterdir()) == []


def test_damaged_folder_is_named(world: World) -> None:
    """An upload whose envelope is damaged stops the start with a line that names its folder."""
    stored = world.open().create(world.promise(DATA), len(DATA))
    (stored.folder / "envelope.dsse.json").write_bytes(b"{}")
    with pytest.raises(InboxError, match=stored.id):
        world.open()


def test_left_over_bytes_do_not_count(world: World) -> None:
    """What a writer appended and never committed is cut off by the next writer."""
    inbox = world.open()
    stored = inbox.create(world.promise(DATA), len(DATA))
    with suppress(KeyError), inbox.writer(stored.id, 0) as writer:
        writer.append(bytes(80))
        raise KeyError
    with inbox.writer(stored.id, 0) as writer:
        writer.append(DATA[:30])
        assert writer.commit() == 30
    assert world.open().find(stored.id).offset == 30


class FullDisk(DyingDisk):
    """A disk without room for more than it holds."""

    def append(self, path: Path, offset: int, data: bytes) -> None:
        super().append(path, offset, data[:3])
        raise OSError(28, "No space left on device")


def test_full_disk(world: World) -> None:
    """A full disk is said with 507; what was acknowledged stays, and the upload goes on when there is room."""
    inbox = world.open(FullDisk(1_000, after=False, torn=0))
    stored = inbox.create(world.promise(DATA), len(DATA))
    with pytest.raises(Refused) as caught, inbox.writer(stored.id, 0) as writer:
        writer.append(DATA)
    assert (caught.value.status, caught.value.code) == (507, "inbox-full")
    assert inbox.find(stored.id).offset == 0
    sender = Sender(world)
    sender.send(world.open())
    assert sender.receipt


def test_one_process_a_folder(world: World) -> None:
    """A second inbox in the same folder is refused while the first is open, and welcome afterwards."""
    first = world.open()
    world.inbox = None
    with pytest.raises(InboxError, match="in use"):
        world.open()
    first.close()
    first.close()
    assert world.open().bundles(world.leaf) == []
