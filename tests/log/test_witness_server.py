"""A witness over HTTP: the answers of tlog-witness to the letter, and clients that are slow, large or gone."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from broker.log.witness.server import routes
from broker.log.witness.service import Witness
from broker.wire.cosigning import MAX_ADD_BYTES, AddCheckpoint, add_lines
from broker.wire.notes import cosigned_at
from broker.wire.proofs import Cosigner, make_policy, parse_policy
from tests.log.mirror_support import LOG_VERIFIER, Tree, serving
from tests.log.support import NOW_US, Clock, key_of
from tests.log.witness_support import FailingOnce, witness_on

TREE = Tree().grow(64)
TEXT = "text/plain; charset=utf-8"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def witness(tmp_path: Path, clock: Clock) -> Iterator[Witness]:
    with witness_on(tmp_path, clock=clock) as witness:
        yield witness


@pytest.fixture
async def client(witness: Witness) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(routes(witness, body_s=0.5)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def test_a_checkpoint_is_cosigned(client: httpx.AsyncClient, witness: Witness) -> None:
    """200, and one signature line with which a policy that needs this witness is met."""
    answer = await client.post("/add-checkpoint", content=TREE.submission(0))
    assert (answer.status_code, answer.headers["content-type"]) == (200, TEXT)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.startswith(f"\u2014 {witness.verifier.name} ")
    assert answer.text.count("\n") == 1
    note = add_lines(TREE.note(), answer.content)
    assert cosigned_at(note, witness.verifier) == NOW_US // 1_000_000
    cosigner = Cosigner(witness.verifier.name, witness.verifier)
    policy = parse_policy(make_policy(LOG_VERIFIER, witnesses=[cosigner], witnesses_needed=1))
    assert policy.check(str(note).encode()).size == 64


async def test_a_wrong_old_size_is_answered_with_the_right_one(client: httpx.AsyncClient) -> None:
    """409, the size in decimal with a newline, and the type without a charset; then the client can do better."""
    await client.post("/add-checkpoint", content=TREE.submission(0, 20))
    answer = await client.post("/add-checkpoint", content=TREE.submission(0))
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (409, "text/x.tlog.size", b"20\n")
    assert (await client.post("/add-checkpoint", content=TREE.submission(20))).status_code == 200
    answer = await client.post("/add-checkpoint", content=Tree(salt=b"other ").grow(64).submission(64))
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (409, "text/x.tlog.size", b"64\n")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"old 0\n\nnothing", 400),
        (AddCheckpoint(65, (), TREE.note()).encode(), 400),
        (AddCheckpoint(0, (), TREE.note(key=key_of("x"))).encode(), 403),
        (AddCheckpoint(0, (), TREE.note(origin="another")).encode(), 404),
        (AddCheckpoint(20, (), TREE.note()).encode(), 422),
        (b"old 0\n" * MAX_ADD_BYTES, 413),
    ],
)
async def test_refusals(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    """Each refusal has its status and a line that says why; nothing is cosigned by it."""
    await client.post("/add-checkpoint", content=TREE.submission(0, 20))
    answer = await client.post("/add-checkpoint", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, TEXT)
    assert answer.text
    assert (await client.get("/")).json()["logs"][0]["size"] == 20


async def test_a_fork_can_be_read_by_everybody(client: httpx.AsyncClient) -> None:
    """GET / counts the evidence, and GET /evidence holds both notes."""
    await client.post("/add-checkpoint", content=TREE.submission(0, 20))
    fork = Tree(salt=b"other ").grow(20)
    await client.post("/add-checkpoint", content=fork.submission(20))
    assert (await client.get("/")).json()["logs"][0]["evidence"] == 1
    (found,) = (await client.get("/evidence")).json()["evidence"]
    assert (found["kind"], found["first"], found["second"]) == (
        "fork",
        TREE.note(20).decode(),
        fork.note().decode(),
    )


async def test_only_what_is_served_is_there(client: httpx.AsyncClient) -> None:
    """Other paths are not found, other methods not allowed."""
    assert (await client.get("/add-checkpoint")).status_code == 405
    assert (await client.post("/")).status_code == 405
    assert (await client.post("/add-entries")).status_code == 404


async def test_an_endless_body_is_cut_off(client: httpx.AsyncClient) -> None:
    """A body without a length is read up to what a request may have."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 65_536

    with contextlib.suppress(httpx.TransportError):  # it answers, and may hang up while we still write
        assert (await client.post("/add-checkpoint", content=endless())).status_code == 413
    assert sent < 1_000


async def test_a_body_that_trickles_is_not_waited_for(client: httpx.AsyncClient) -> None:
    """Half a body and silence: 408 after a while, and others are served meanwhile."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(b"POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nold 0")
    await writer.drain()
    assert (await client.post("/add-checkpoint", content=TREE.submission(0))).status_code == 200
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_goes_away_harms_nobody(client: httpx.AsyncClient) -> None:
    """A connection that ends within a body leaves the witness as it was."""
    _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(b"POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nold 0")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await client.post("/add-checkpoint", content=TREE.submission(0))).status_code == 200


async def test_many_at_once_leave_one_line_of_growth(client: httpx.AsyncClient) -> None:
    """Of clients that race from the same size one wins; each of the others can go on from there."""
    answers = await asyncio.gather(
        *(client.post("/add-checkpoint", content=TREE.submission(0, size)) for size in range(10, 30))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    (winner,) = {answer.text for answer in answers if answer.status_code == 409}
    assert json.loads(winner) == (await client.get("/")).json()["logs"][0]["size"]


async def test_a_full_disk_is_no_signature(tmp_path: Path) -> None:
    """503 with Retry-After, and no line; when there is room again it goes on."""
    disk = FailingOnce()
    with witness_on(tmp_path, fsync=disk) as witness:
        disk.arm(1)  # the draft's
        async with (
            serving(routes(witness)) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        ):
            answer = await client.post("/add-checkpoint", content=TREE.submission(0))
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
            assert "\u2014" not in answer.text
            assert (await client.post("/add-checkpoint", content=TREE.submission(0))).status_code == 200


async def test_a_clock_that_is_far_behind_is_no_signature(client: httpx.AsyncClient, clock: Clock) -> None:
    """503 until the clock is right."""
    await client.post("/add-checkpoint", content=TREE.submission(0, 20))
    clock.now_us -= 3_600_000_000
    assert (await client.post("/add-checkpoint", content=TREE.submission(20))).status_code == 503
    clock.now_us += 3_600_000_000
    assert (await client.post("/add-checkpoint", content=TREE.submission(20))).status_code == 200
