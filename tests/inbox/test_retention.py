"""How long a bundle is kept, and what stays of it: the receipt, so that its sender still learns that it arrived."""

import random
from contextlib import suppress
from pathlib import Path

import pytest

from broker.inbox import Inbox, InboxLimits
from broker.inbox.errors import Refused
from broker.inbox.inbox import DAY_US
from tests.inbox.support import (
    HOUR_US,
    NOW_US,
    DyingDisk,
    PowerCut,
    World,
    chunk,
    creation,
    error_code,
    make_agency,
    make_request,
)

DATA = random.Random(8).randbytes(500)
CLOSES_US = NOW_US + 24 * HOUR_US


def deliver(world: World, inbox: Inbox, *, key: str = "once") -> str:
    """Send a bundle whole; returns the upload's id."""
    stored = inbox.create(world.promise(DATA, key=key), len(DATA))
    with inbox.writer(stored.id, 0) as writer:
        writer.append(DATA)
        writer.commit()
    inbox.finish(stored.id)
    return stored.id


def test_a_bundle_goes_a_month_after_its_request(world: World) -> None:
    """Not a moment sooner, and with it the room that it took; the request's expiry counts, not the arrival."""
    inbox = world.open()
    upload = deliver(world, inbox)
    world.clock.now_us = CLOSES_US + 30 * DAY_US - 1
    assert inbox.sweep() == 0
    (bundle,) = inbox.bundles(world.leaf)
    world.clock.now_us += 1
    assert inbox.sweep() == 1
    assert inbox.bundles(world.leaf) == []
    assert not bundle.path.exists()
    with pytest.raises(Refused, match="nothing here"):
        inbox.bundle(upload, leaf=world.leaf)
    assert inbox.sweep() == 0


def test_a_withdrawn_request_lets_its_bundles_go_sooner(world: World) -> None:
    """What counts is when it closed, by whatever."""
    inbox = world.open()
    deliver(world, inbox)
    world.book.closed.add(world.leaf)
    world.clock.now_us = NOW_US + 30 * DAY_US
    assert inbox.sweep() == 1


async def test_the_receipt_stays(world: World) -> None:
    """The same envelope finds its upload and its receipt after the bytes are gone, and after a restart."""
    inbox = world.open()
    upload = deliver(world, inbox)
    receipt = inbox.receipt(upload)
    world.clock.now_us = CLOSES_US + 31 * DAY_US
    inbox.sweep()
    for opened in (inbox, world.open()):
        assert opened.create(world.promise(DATA), len(DATA)).id == upload
        assert opened.receipt(upload) == receipt
        async with world.client(opened) as client:
            location = (await client.post("/inbox", headers=creation(world.promise(DATA), len(DATA)))).headers[
                "location"
            ]
            assert (await client.head(location, headers=chunk(0))).headers["upload-offset"] == str(len(DATA))
            assert (await client.patch(location, headers=chunk(len(DATA)), content=b"")).status_code == 204
            more = await client.patch(location, headers=chunk(len(DATA)), content=b"more")
            assert (more.status_code, error_code(more)) == (413, "too-many-bytes")
        assert opened.sweep() == 0


def test_in_the_end_the_receipt_goes_too(world: World) -> None:
    """Memory and folder don't grow for good."""
    inbox = world.open()
    upload = deliver(world, inbox)
    world.clock.now_us = CLOSES_US + 31 * DAY_US
    inbox.sweep()
    world.clock.now_us = CLOSES_US + 400 * DAY_US
    assert inbox.sweep() == 1
    assert list((world.folder / "uploads").iterdir()) == []
    with pytest.raises(Refused, match="no such upload"):
        inbox.receipt(upload)


def test_a_full_inbox_makes_room_from_what_is_over(tmp_path: Path) -> None:
    """A new bundle finds room once an old one's time is over, and not before."""
    limits = InboxLimits(max_total_bytes=len(DATA), keep_bundles_us=HOUR_US)
    world = World(tmp_path / "inbox", limits=limits)
    inbox = world.open()
    deliver(world, inbox)
    world.book.closed.add(world.leaf)
    world.leaf = world.book.add(make_request(case="26-0002"), make_agency())
    for now_us in (NOW_US, NOW_US + HOUR_US - 1):
        world.clock.now_us = now_us
        with pytest.raises(Refused, match="full"):
            deliver(world, inbox, key="another")
    world.clock.now_us = NOW_US + HOUR_US
    deliver(world, inbox, key="another")
    assert [bundle.bytes for bundle in inbox.bundles(world.leaf)] == [len(DATA)]


def test_a_request_that_the_log_lost_keeps_its_bundles(world: World) -> None:
    """When it closed is not known: nothing goes that may still be wanted."""
    inbox = world.open()
    deliver(world, inbox)
    world.book.requests.clear()
    world.clock.now_us = CLOSES_US + 1_000 * DAY_US
    assert inbox.sweep() == 0


def test_letting_go_and_a_cut(tmp_path: Path) -> None:
    """Cut before or right after the removal: the bundle is there whole, or gone with its receipt left."""
    for after in (False, True):
        world = World(tmp_path / str(after))
        upload = deliver(world, world.open())
        receipt = world.open().receipt(upload)
        world.clock.now_us = CLOSES_US + 31 * DAY_US
        disk = DyingDisk(3, after=after, torn=0)  # the folder, the data's sync, the removal
        with suppress(PowerCut):
            world.open(disk).sweep()
        assert disk.dead
        inbox = world.open()
        assert len(inbox.bundles(world.leaf)) == (not after)
        assert inbox.receipt(upload) == receipt
        assert inbox.sweep() == (not after)


def test_all_bytes_and_no_receipt(world: World) -> None:
    """An upload whose writer was cut off at the very end is finished when its request closes, and then kept as any."""
    inbox = world.open()
    stored = inbox.create(world.promise(DATA), len(DATA))
    with inbox.writer(stored.id, 0) as writer:
        writer.append(DATA)
        writer.commit()
    assert inbox.sweep() == 0
    world.clock.now_us = CLOSES_US
    assert inbox.sweep() == 1
    assert [bundle.bytes for bundle in inbox.bundles(world.leaf)] == [len(DATA)]
