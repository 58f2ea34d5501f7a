"""A sender asks for what it sent to be deleted: it alone can, once for all, and what is signed for outlasts a cut."""

import hashlib
import random
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from broker.inbox import Inbox, InboxError, InboxLimits
from broker.inbox.errors import Refused
from broker.inbox.inbox import DAY_US
from broker.wire.deletions import Deletion, DeletionReceipt
from broker.wire.encoding import from_base64
from broker.wire.envelopes import public_bytes
from tests.inbox.support import (
    HOUR_US,
    INBOX_KEY,
    NOW_US,
    DyingDisk,
    PowerCut,
    World,
    error_code,
    key_of,
    make_agency,
    make_request,
)

DATA = random.Random(11).randbytes(400)
CLOSES_US = NOW_US + 24 * HOUR_US


def deliver(world: World, inbox: Inbox, *, key: str = "once", data: bytes = DATA) -> str:
    """Send a bundle whole, if it is not there; returns the upload's id."""
    stored = inbox.create(world.promise(data, key=key), len(data))
    if stored.offset < stored.length:
        with inbox.writer(stored.id, stored.offset) as writer:
            writer.append(data[stored.offset :])
            writer.commit()
    inbox.finish(stored.id)
    return stored.id


def notice(
    world: World,
    *,
    key: str = "once",
    signer: str | None = None,
    data: bytes = DATA,
    leaf: str | None = None,
    at_us: int = NOW_US,
) -> bytes:
    record = Deletion(
        request=leaf or world.leaf,
        bundle_sha256=hashlib.sha256(data).hexdigest(),
        key=public_bytes(key_of(key)),
        at=at_us,
    )
    return record.sign(key_of(signer or key))


def refusal(inbox: Inbox, envelope: bytes) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        inbox.deletions.take(envelope)
    return caught.value.status, caught.value.code


def test_a_sender_asks_and_the_bundle_goes(world: World) -> None:
    """The inbox signs for it, hands the bundle to nobody any more, and keeps the notice for the agency."""
    inbox = world.open()
    upload = deliver(world, inbox)
    (bundle,) = inbox.bundles(world.leaf)
    receipt = DeletionReceipt.open(inbox.deletions.take(notice(world)), key=public_bytes(INBOX_KEY))
    assert (receipt.request, receipt.bundle_sha256, receipt.taken_at) == (world.leaf, bundle.sha256, NOW_US)
    assert inbox.bundles(world.leaf) == []
    assert not bundle.path.exists()
    with pytest.raises(Refused, match="nothing here"):
        inbox.bundle(upload, leaf=world.leaf)
    assert inbox.deletions.of_request(world.leaf) == [notice(world)]
    assert inbox.deletions.taken() == {world.leaf: [NOW_US]}


def test_it_is_taken_once(world: World) -> None:
    """Replayed, or signed anew by the same sender, it gives the first receipt, after a restart too; nothing counts."""
    inbox = world.open()
    deliver(world, inbox)
    receipt = inbox.deletions.take(notice(world))
    for opened in (inbox, world.open()):
        world.clock.now_us += HOUR_US
        assert opened.deletions.take(notice(world)) == receipt
        assert opened.deletions.take(notice(world, at_us=world.clock())) == receipt
        assert opened.deletions.taken() == {world.leaf: [NOW_US]}
        assert opened.deletions.of_request(world.leaf) == [notice(world)]


def test_nobody_else_can_ask(world: World) -> None:
    """Forged, by another sender, for another bundle or request: refused, and the bundle stays."""
    inbox = world.open()
    deliver(world, inbox)
    deliver(world, inbox, key="another", data=DATA[:100])
    other = world.book.add(make_request(case="26-0002"), make_agency())
    assert refusal(inbox, notice(world, signer="stranger")) == (400, "bad-envelope")
    assert refusal(inbox, notice(world, key="stranger")) == (404, "unknown-bundle")
    assert refusal(inbox, notice(world, key="another")) == (404, "unknown-bundle")
    assert refusal(inbox, notice(world, data=DATA[:100])) == (404, "unknown-bundle")
    assert refusal(inbox, notice(world, leaf=other)) == (404, "unknown-bundle")
    assert refusal(inbox, world.promise(DATA)) == (400, "bad-envelope")
    assert refusal(inbox, b"{}") == (400, "bad-envelope")
    assert len(inbox.bundles(world.leaf)) == 2
    assert inbox.deletions.taken() == {}


def test_what_has_not_arrived_can_not_be_asked_for(world: World) -> None:
    """Nobody was given it; the notice is welcome once it is whole."""
    inbox = world.open()
    stored = inbox.create(world.promise(DATA), len(DATA))
    with inbox.writer(stored.id, 0) as writer:
        writer.append(DATA[:-1])
        writer.commit()
    assert refusal(inbox, notice(world)) == (409, "incomplete")
    deliver(world, inbox)
    inbox.deletions.take(notice(world))
    assert inbox.bundles(world.leaf) == []


def test_a_bundle_whose_bytes_are_gone_can_be_asked_for(world: World) -> None:
    """Its agency may well have them; the notice is then kept for as long as a bundle would be, before all goes."""
    inbox = world.open()
    deliver(world, inbox)
    world.clock.now_us = CLOSES_US + 400 * DAY_US - 1
    assert inbox.sweep() == 1
    inbox.deletions.take(notice(world))
    world.clock.now_us += 30 * DAY_US - 1
    assert inbox.sweep() == 0
    assert inbox.deletions.of_request(world.leaf) == [notice(world)]
    world.clock.now_us += 1
    assert inbox.sweep() == 1
    assert refusal(inbox, notice(world)) == (404, "unknown-bundle")


def test_a_flood_has_the_bound_of_the_uploads(tmp_path: Path) -> None:
    """One that uploads rubbish and asks for its deletion gets no further than with the rubbish alone."""
    world = World(tmp_path / "inbox", limits=InboxLimits(max_uploads_per_request=3))
    inbox = world.open()
    for number in range(3):
        data = bytes([number])
        deliver(world, inbox, key=str(number), data=data)
        for _ in range(3):
            inbox.deletions.take(notice(world, key=str(number), data=data))
    for opened in (inbox, world.open()):
        with pytest.raises(Refused, match="as many bundles"):
            deliver(world, opened, key="more")
        assert opened.deletions.taken() == {world.leaf: [NOW_US] * 3}


@pytest.mark.parametrize("after", [False, True])
def test_a_cut_at_every_step(tmp_path: Path, after: bool) -> None:
    """What was signed for is there afterwards with the same receipt; what was not is asked again; no bytes stay."""
    cuts = 0
    for step in range(1, 14):
        world = World(tmp_path / str(step))
        deliver(world, world.open())
        disk = DyingDisk(step, after=after, torn=9)
        signed = b""
        with suppress(PowerCut):
            signed = world.open(disk).deletions.take(notice(world))
        cuts += disk.dead
        world.clock.now_us += 1
        kept = world.open().deletions.taken()
        assert kept or not signed
        inbox = world.open()
        receipt = inbox.deletions.take(notice(world))
        assert signed in {b"", receipt}
        (folder,) = (world.folder / "uploads").iterdir()
        assert {path.name for path in folder.iterdir()} == {"envelope.dsse.json", "receipt.dsse.json", "deletion.jsonl"}
        assert world.open().deletions.take(notice(world)) == receipt
    assert 4 < cuts < 13, "every step was cut at, and the last run was not cut at all"


def test_a_damaged_notice_is_named(world: World) -> None:
    """It stops the start with a line that names the file: it was signed for, and is not forgotten silently."""
    inbox = world.open()
    upload = deliver(world, inbox)
    inbox.deletions.take(notice(world))
    for damaged in (b"", notice(world), notice(world) + b"\n{}\n"):
        (world.folder / "uploads" / upload / "deletion.jsonl").write_bytes(damaged)
        with pytest.raises(InboxError, match=upload):
            world.open()


async def test_over_http(world: World) -> None:
    """The sender posts the envelope, its agency alone reads the notices, and too much or no envelope is refused."""
    inbox = world.open()
    deliver(world, inbox)
    listed = f"/inbox/requests/{world.leaf}/deletions"
    async with world.client(inbox) as client:
        claim = {"Authorization": world.claim()}
        assert (await client.get(listed, headers=claim)).json() == {"deletions": []}
        answer = await client.post("/inbox/deletions", content=notice(world))
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert DeletionReceipt.open(answer.content, key=public_bytes(INBOX_KEY)).request == world.leaf
        (text,) = (await client.get(listed, headers=claim)).json()["deletions"]
        assert from_base64(text) == notice(world)
        assert await _refused(client.post("/inbox/deletions", content=b"x" * 5_000)) == (413, "too-large")
        assert await _refused(client.post("/inbox/deletions", content=b"")) == (400, "bad-envelope")
        assert await _refused(client.post("/inbox/deletions", content=notice(world, key="no"))) == (
            404,
            "unknown-bundle",
        )
        assert await _refused(client.get(listed)) == (401, "no-claim")
        other = world.claim(agency="easttown-police")
        assert await _refused(client.get(listed, headers={"Authorization": other})) == (404, "not-found")
        elsewhere = f"/inbox/requests/{'0' * 64}/deletions"
        assert await _refused(client.get(elsewhere, headers=claim)) == (404, "not-found")


async def _refused(asking: Awaitable[httpx.Response]) -> tuple[int, str]:
    answer = await asking
    return answer.status_code, error_code(answer)
