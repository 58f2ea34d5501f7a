"""A mirror against an honest log over real HTTP: it copies all of it, cosigns what it serves, goes on after a cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from broker.log.errors import LogDamagedError
from broker.log.mirror.notes import MirrorSigner
from broker.log.witness.answer import Refusal
from broker.wire.cosigning import AddCheckpoint
from broker.wire.notes import cosigned_at, parse_note
from broker.wire.proofs import Cosigner, make_policy, parse_policy
from tests.log.mirror_support import (
    LOG_VERIFIER,
    MIRROR_KEY,
    MIRROR_NAME,
    WITNESS,
    LogServer,
    Mirrored,
    Tree,
    served_size,
    serving,
    stored_tiles,
    witnessed,
)
from tests.log.support import Clock, PowerCutError, key_of
from tests.log.witness_support import Disk, FailingOnce, files_of, put_back

SECOND_US = 1_000_000


@pytest.fixture
async def server() -> AsyncIterator[LogServer]:
    server = LogServer(Tree())
    async with serving(server.routes()) as server.port:
        yield server


async def followed(server: LogServer, folder: Path, **more: object) -> None:
    """What a mirror does on its own when the log has published something."""
    async with Mirrored(folder, server, **more) as mirror:  # type: ignore[arg-type]
        assert await mirror.log.poll()
        assert await mirror.log.catch_up()


async def test_a_log_is_copied_as_it_grows(server: LogServer, tmp_path: Path) -> None:
    """Through every shape of a tree's edge, each tile is byte for byte the log's."""
    async with Mirrored(tmp_path, server) as mirror:
        for size in (0, 1, 5, 255, 256, 257, 300, 512, 700):
            server.tree.grow(size - server.tree.size)
            server.publish()
            assert await mirror.log.poll()
            assert await mirror.log.catch_up()
            assert mirror.copy.size == served_size(tmp_path) == size
        tiles = stored_tiles(tmp_path)
        assert all(server.tree.tiles[tile] == data for tile, data in tiles.items())
        assert not [tile for tile in tiles if tile.width < 256 and tile.index < size // 256 and tile.level == 0]


async def test_a_submitted_checkpoint_is_served_when_the_answer_comes(server: LogServer, tmp_path: Path) -> None:
    """add-checkpoint answers without a line; one look at the mirror's checkpoint then finds its cosignature."""
    server.tree.grow(300)
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.submit(server.tree.submission(0)) == b""
        assert served_size(tmp_path) == 300
        server.tree.grow(400)
        assert await mirror.submit(server.tree.submission(300)) == b""
        assert served_size(tmp_path) == 700
        assert server.asked.count("checkpoint") <= 2, "what was submitted need not be polled for"


async def test_the_answer_does_not_wait_for_ever(server: LogServer, tmp_path: Path) -> None:
    """A log that does not give out its tiles: the checkpoint is pending and answered, and nothing is cosigned."""
    server.tree.grow(300)
    held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    server.pause = lambda path: held if path.startswith("tile/entries") else None
    async with Mirrored(tmp_path, server, wait_s=0.2) as mirror:
        assert await mirror.submit(server.tree.submission(0)) == b""
        status = mirror.log.status()
        assert (status["size"], status["pending"], status["behind"]) == (None, 300, 300)
        assert status["behind_since"] is not None
        held.set_result(None)
        assert await mirror.log.catch_up()
        status = mirror.log.status()
        assert (status["size"], status["behind"], status["behind_since"]) == (300, 0, None)


async def test_a_failure_is_answered_at_once(server: LogServer, tmp_path: Path) -> None:
    """A copy that fails is not waited for: the answer comes with the failure, the copy with a later attempt."""
    server.tree.grow(300)
    server.bend = lambda path, data: None if path.startswith("tile/entries") else data
    async with Mirrored(tmp_path, server, wait_s=60) as mirror:
        async with asyncio.timeout(5):
            assert await mirror.submit(server.tree.submission(0)) == b""
        assert "tile/entries" in mirror.log.status()["error"]
        server.bend = lambda _, data: data
        assert await mirror.log.catch_up()
        server.publish()
        assert await mirror.log.poll()
        assert mirror.log.status()["error"] is None


async def test_the_same_checkpoint_again_is_cosigned_again(server: LogServer, tmp_path: Path) -> None:
    """A log that stands still can be seen to: asked again, the mirror says so with a newer time."""
    server.tree.grow(5)
    clock = Clock()
    async with Mirrored(tmp_path, server, clock=clock) as mirror:
        times = []
        for old in (0, 5, 5):
            await mirror.submit(server.tree.submission(old))
            served = mirror.copy.served
            assert served is not None
            times.append(served.at_s)
            clock.now_us += 60 * SECOND_US
        assert times == sorted(set(times))
        served_size(tmp_path)


async def test_cosignatures_of_witnesses_come_along(server: LogServer, tmp_path: Path) -> None:
    """What the log publishes with its checkpoint is served with it: a policy of witness and mirror is met."""
    server.tree.grow(5)
    server.publish()
    await followed(server, tmp_path)
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        witness = Cosigner("w", WITNESS)
        own = Cosigner("m", mirror.signer.verifier)
        policy = make_policy(LOG_VERIFIER, witnesses=[witness], mirrors=[own], witnesses_needed=1, mirrors_needed=1)
        served = mirror.copy.served
        assert served is not None
        assert parse_policy(policy).check(str(served.note).encode()).size == 5
        newer = witnessed(server.tree.note(), at_s=1_800_000_000)
        unknown = key_of("a witness that the mirror does not know")
        server.published = witnessed(newer, key=unknown, name="x.example.org")
        assert await mirror.log.poll()
        assert mirror.copy.served is not None
        note = mirror.copy.served.note
        assert cosigned_at(note, WITNESS) == 1_800_000_000
        assert [one.name for one in note.signatures].count("x.example.org") == 1
        assert cosigned_at(note, mirror.signer.verifier) is not None
    async with Mirrored(tmp_path, server) as mirror:
        assert mirror.copy.served is not None
        assert mirror.copy.served.note == note


async def test_a_false_cosignature_of_a_known_witness_is_left_out(server: LogServer, tmp_path: Path) -> None:
    """A line that does not verify would spoil the whole note for whoever knows the witness."""
    server.tree.grow(5)
    other = parse_note(witnessed(server.tree.note(4))).signatures[-1]
    note = parse_note(server.tree.note())
    server.published = str(type(note)(note.text, (*note.signatures, other))).encode()
    await followed(server, tmp_path)
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        assert mirror.copy.served is not None
        assert cosigned_at(mirror.copy.served.note, WITNESS) is None


async def test_partial_tiles_that_are_gone_are_cut_from_full_ones(server: LogServer, tmp_path: Path) -> None:
    """The log may have grown since it signed, and dropped what became full; the copy is of what it signed."""
    old = Tree().grow(300)
    server.tree.grow(600)
    server.published = old.note()
    server.bend = lambda path, data: None if ".p/" in path and not path.endswith(("1/000.p/2", "1/000.p/1")) else data
    tile = next(tile for tile in old.tiles if (tile.level, tile.width) == (1, 1))
    server.tree.tiles[tile] = old.tiles[tile]  # of this level there is no full tile yet: the partial one must be kept
    await followed(server, tmp_path)
    assert served_size(tmp_path) == 300


@pytest.mark.slow
@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("done", [False, True])
async def test_the_power_goes_at_every_step(tmp_path: Path, *, done: bool, lost: bool) -> None:
    """Cut at each sync, done or not, its names lost or not: what is served is whole, and the copy ends well."""
    small, large = LogServer(Tree().grow(5)), LogServer(Tree().grow(5).grow(255))
    small.publish()
    large.publish()
    cuts = 0
    for cut_at in range(1, 40):
        folder = tmp_path / str(cut_at)
        await followed(small, folder)
        disk, before = Disk(done=done), files_of(folder)
        with suppress(PowerCutError):
            async with Mirrored(folder, large, fsync=disk) as mirror:
                disk.arm(cut_at)
                await mirror.log.poll()
                await mirror.log.catch_up()
        cuts += disk.cut
        if lost and disk.cut:
            put_back(folder, before)
        assert served_size(folder) in {5, 260}
        await followed(large, folder)
        assert served_size(folder) == 260
    assert 10 < cuts < 39, "every step was cut at, and the last run was not cut at all"


async def test_what_is_stored_already_is_not_fetched_again(server: LogServer, tmp_path: Path) -> None:
    """A copy that was cut off goes on from the files that are there, once they check out; a false one is replaced."""
    server.tree.grow(10_000)
    server.publish()
    server.bend = lambda path, data: None if path == "tile/entries/035" else data
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        assert not await mirror.log.catch_up()
    assert served_size(tmp_path) == 0
    held = {tile.path for tile in stored_tiles(tmp_path)}
    assert len(held) >= 64
    spoilt = next(path for path in sorted(held) if path.startswith("tile/entries"))
    (path,) = (path for path in files_of(tmp_path) if str(path).endswith(spoilt))
    path.write_bytes(b"spoilt")
    server.bend = lambda _, data: data
    server.asked.clear()
    await followed(server, tmp_path)
    assert served_size(tmp_path) == 10_000
    assert {path for path in server.asked if path in held} <= {spoilt, "tile/0/039.p/16", "tile/1/000.p/39"}


@pytest.mark.parametrize("spoil", ["checkpoint", "tile", "key", "pending"])
async def test_a_copy_that_is_damaged_stops_the_start(server: LogServer, tmp_path: Path, spoil: str) -> None:
    """A start on files that contradict each other says which, and what to do; moved away, all is copied anew."""
    server.tree.grow(300)
    server.publish()
    await followed(server, tmp_path)
    (copy,) = (tmp_path / "logs").iterdir()
    mirror = Mirrored(tmp_path, server)
    if spoil == "checkpoint":
        (copy / "checkpoint").write_bytes(server.tree.note())
    elif spoil == "tile":
        (copy / "tile/entries/001.p/44").unlink()
    elif spoil == "pending":
        next((tmp_path / "latest").iterdir()).write_bytes(b"torn")
    else:
        mirror.copy._signer = MirrorSigner(MIRROR_NAME, key_of("another"))
    with pytest.raises(LogDamagedError, match=str(tmp_path)):
        mirror.log.open()
    await mirror.http.aclose()
    if spoil != "pending":
        copy.rename(tmp_path / "moved")
        await followed(server, tmp_path)
        assert served_size(tmp_path) == 300


async def test_a_clock_that_is_far_behind_signs_nothing(server: LogServer, tmp_path: Path) -> None:
    """Nothing is cosigned with a time before the last; when the clock is right again, the copy is served."""
    clock = Clock()
    server.tree.grow(5)
    async with Mirrored(tmp_path, server, clock=clock) as mirror:
        await mirror.submit(server.tree.submission(0))
        clock.now_us -= 3_600 * SECOND_US
        server.tree.grow(5)
        await mirror.submit(server.tree.submission(5))
        assert (mirror.copy.size, mirror.log.status()["pending"]) == (5, 10)
        assert "clock" in mirror.log.status()["error"]
        clock.now_us += 3_600 * SECOND_US
        assert await mirror.log.catch_up()
        assert served_size(tmp_path) == 10


async def test_a_mirror_runs_by_itself(server: LogServer, tmp_path: Path) -> None:
    """Unasked, it follows what the log publishes, and ends when it is cancelled."""
    async with Mirrored(tmp_path, server, poll_s=0.05) as mirror, asyncio.timeout(20):
        running = asyncio.create_task(mirror.log.run())
        for size in (5, 700):
            server.tree.grow(size - server.tree.size)
            server.publish()
            async with mirror.log._changed:
                await mirror.log._changed.wait_for(lambda size=size: mirror.copy.size == size)  # type: ignore[misc]
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert served_size(tmp_path) == 700


async def test_old_sizes_are_a_witnesss_business_here_too(server: LogServer, tmp_path: Path) -> None:
    """The pending checkpoint, not the served one, is what a new one must have grown from."""
    server.tree.grow(10)
    server.bend = lambda _path, _data: None
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.submit(server.tree.submission(0)) == b""
        assert mirror.copy.size == 0
        server.tree.grow(10)
        for old, status in ((0, 409), (5, 409), (10, None)):
            answer = await mirror.submit(server.tree.submission(old))
            assert (answer.status if isinstance(answer, Refusal) else None) == status
    async with Mirrored(tmp_path, server) as mirror:
        answer = await mirror.submit(server.tree.submission(10))
        assert isinstance(answer, Refusal)
        assert answer.size == 20


def test_the_mirror_signs_with_its_own_key_alone() -> None:
    """The key in a policy is of the kind that cosigns."""
    verifier = MirrorSigner(MIRROR_NAME, MIRROR_KEY).verifier
    assert (verifier.name, verifier.kind) == (MIRROR_NAME, 0x04)


async def test_what_was_unproven_is_dropped_once_it_is_proven(server: LogServer, tmp_path: Path) -> None:
    """A false proof of honest growth is not held against the log for ever."""
    server.tree.grow(10)
    async with Mirrored(tmp_path, server) as mirror:
        await mirror.submit(server.tree.submission(0, 5))
        answer = await mirror.submit(AddCheckpoint(5, (), server.tree.note()).encode())
        assert isinstance(answer, Refusal)
        assert (answer.status, mirror.kinds()) == (422, ["unproven"])
        await mirror.submit(server.tree.submission(5))
        assert mirror.kinds() == []


async def test_the_same_question_again_costs_the_disk_nothing(server: LogServer, tmp_path: Path) -> None:
    """Anybody may send a checkpoint again: within a second it is answered without a write."""
    server.tree.grow(10)
    disk = Disk()
    async with Mirrored(tmp_path, server, fsync=disk) as mirror:
        await mirror.submit(server.tree.submission(0))
        syncs = disk.syncs
        for _ in range(3):
            assert await mirror.submit(server.tree.submission(10)) == b""
        assert disk.syncs == syncs


async def test_a_full_disk_is_said_and_got_over(server: LogServer, tmp_path: Path) -> None:
    """Nothing is cosigned that could not be stored; with room again the copy goes on by itself."""
    server.tree.grow(600)
    server.publish()
    for fail_at in range(1, 14):
        disk = FailingOnce()
        async with Mirrored(tmp_path / str(fail_at), server, fsync=disk) as mirror:
            disk.arm(fail_at)
            while not (await mirror.log.poll() and await mirror.log.catch_up()):
                assert "no space" in mirror.log.status()["error"]
                assert str(tmp_path) not in mirror.log.status()["error"]
        assert served_size(tmp_path / str(fail_at)) == 600
