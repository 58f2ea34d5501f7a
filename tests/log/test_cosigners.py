"""One cosigner, asked over HTTP: what it may answer, and what of it is believed."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.responses import RedirectResponse, Response, StreamingResponse

from broker.log.cosigned.cosigners import Cosigned, CosignerClient, CosignerError
from broker.wire.cosigning import SIZE_TYPE, AddCheckpoint
from broker.wire.notes import MAX_NOTE_BYTES, Note, cosign_note, parse_note
from broker.wire.proofs import Cosigner
from tests.log.cosigner_support import NOW_S, QUICK, PlayedCosigner, head_of, http_client, playing
from tests.log.mirror_support import ORIGIN, Tree
from tests.log.support import key_of


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client() as client:
        yield client


@pytest.fixture
async def witness() -> AsyncIterator[PlayedCosigner]:
    played = PlayedCosigner("w.example.org")
    async with playing(played, origin=ORIGIN):
        yield played


@pytest.fixture
async def mirror() -> AsyncIterator[PlayedCosigner]:
    played = PlayedCosigner("m.example.org", kind="mirror")
    async with playing(played, origin=ORIGIN):
        yield played


def client_of(played: PlayedCosigner, http: httpx.AsyncClient) -> CosignerClient:
    return CosignerClient(played.kind, played.cosigner, http=http, timing=QUICK)


async def test_a_growing_log_is_cosigned(witness: PlayedCosigner, http: httpx.AsyncClient) -> None:
    """Each head is shown with the proof from the size that the witness cosigned last, in one exchange."""
    client, tree = client_of(witness, http), Tree()
    for count in (1, 300, 0, 7):
        tree.grow(count)
        cosigned = await client.cosign(head_of(tree))
        assert (cosigned.checkpoint.size, cosigned.at_s) == (tree.size, NOW_S)
    assert [one.old_size for one in witness.asked] == [0, 1, 301, 301]


async def test_a_witness_that_knows_the_log_already_says_how_far(
    witness: PlayedCosigner, http: httpx.AsyncClient
) -> None:
    """After a restart of ours the first answer is a conflict, and the second exchange begins where it stands."""
    tree = Tree().grow(5)
    await client_of(witness, http).cosign(head_of(tree))
    cosigned = await client_of(witness, http).cosign(head_of(tree.grow(4)))
    assert cosigned.checkpoint.size == 9
    assert [one.old_size for one in witness.asked] == [0, 0, 5]


async def test_a_mirrors_own_checkpoint_is_read(mirror: PlayedCosigner, http: httpx.AsyncClient) -> None:
    """It answers with nothing; its cosignature stands on the checkpoint that it serves once it has all entries."""
    tree = Tree().grow(3)
    client = client_of(mirror, http)
    assert (await client.cosign(head_of(tree))).checkpoint.size == 3
    earlier = mirror.served
    mirror.bend = lambda _: Response(b"")  # it takes note of the head, and copies on
    asking = asyncio.create_task(client.cosign(head_of(tree.grow(2))))
    await asyncio.sleep(0.1)
    assert not asking.done()
    assert mirror.served == earlier
    mirror.served = tree.note() + mirror.lines(tree.note())
    assert (await asking).checkpoint.size == 5


def conflict(text: str, media_type: str = SIZE_TYPE) -> Callable[[PlayedCosigner, AddCheckpoint], Response]:
    return lambda _, __: Response(text, 409, media_type=media_type)


def lines_of(change: Callable[[PlayedCosigner, bytes], bytes]) -> Callable[[PlayedCosigner, AddCheckpoint], Response]:
    return lambda played, asked: Response(change(played, asked.checkpoint))


def other_name(_: PlayedCosigner, note: bytes) -> bytes:
    signed = cosign_note(parse_note(note), "other.example.org", key_of("w.example.org"), at_s=1)
    return str(signed).encode().removeprefix(note)


def other_key(played: PlayedCosigner, note: bytes) -> bytes:
    return str(cosign_note(parse_note(note), played.name, key_of("thief"), at_s=1)).encode().removeprefix(note)


def other_tree(played: PlayedCosigner, _: bytes) -> bytes:
    return played.lines(Tree(salt=b"other").grow(4).note())


def smuggled_text(played: PlayedCosigner, note: bytes) -> bytes:
    """Lines that make the note's signatures a part of its text, and sign that."""
    signed = cosign_note(Note(f"{note.decode()}more\n", ()), played.name, played.key, at_s=1)
    return b"more\n\n" + str(signed).encode().rpartition(b"\n\n")[2]


def behind(mirror: PlayedCosigner, _: Tree) -> bytes | None:
    return mirror.served


def unsigned(_: PlayedCosigner, tree: Tree) -> bytes:
    return tree.note()


def another(mirror: PlayedCosigner, tree: Tree) -> bytes:
    note = tree.forked(1, 5).note()
    return note + mirror.lines(note)


def garbage(_: PlayedCosigner, __: Tree) -> bytes:
    return b"garbage"


def endless(_: PlayedCosigner, __: Tree) -> bytes:
    return b"x" * (MAX_NOTE_BYTES + 1)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (conflict("nonsense\n"), "can't be used"),
        (conflict("4"), "without a reason"),
        (conflict(" 3\n"), "can't be used"),
        (conflict("3\n", "text/plain"), "without a reason"),
        (conflict("0\n"), "another tree of size 0"),
        (conflict("99\n"), "it knows 99 entries of this log, which has 4"),
        (conflict(f"{1 << 63}\n"), "can't be used"),
        (lambda _, asked: conflict(f"{(asked.old_size + 1) % 4}\n")(_, asked), "another size each time"),
        (lambda *_: Response(status_code=422), "it answers 422"),
        (lambda *_: Response(status_code=500), "it answers 500"),
        (lambda *_: RedirectResponse("http://127.0.0.1:9/add-checkpoint"), "it answers 307"),
        (lambda *_: Response(b""), "did not sign as w.example.org"),
        (lambda *_: Response(b"\xff\xfe"), "not UTF-8"),
        (lambda *_: Response("<html>Sign in</html>"), "can't be used"),
        (lambda *_: Response(b"x" * (MAX_NOTE_BYTES + 1)), "more than"),
        (lines_of(other_name), "did not sign as w.example.org"),
        (lines_of(other_key), "did not sign as w.example.org"),
        (lines_of(other_tree), "does not verify"),
        (lines_of(smuggled_text), "something else than signature lines"),
        (lines_of(lambda played, note: played.lines(note)[:-3]), "can't be used"),
        (lines_of(lambda played, note: played.lines(note) * 70), "more than 64 signatures"),
    ],
)
async def test_what_is_no_cosignature_is_not_taken(
    witness: PlayedCosigner,
    http: httpx.AsyncClient,
    answer: Callable[[PlayedCosigner, AddCheckpoint], Response],
    why: str,
) -> None:
    """Whatever a witness answers instead, it is told apart and said; the next honest answer is taken."""
    client, tree = client_of(witness, http), Tree().grow(4)
    witness.bend = lambda asked: answer(witness, asked)
    with pytest.raises(CosignerError, match=why):
        await client.cosign(head_of(tree))
    witness.bend = lambda _: None
    assert (await client.cosign(head_of(tree))).checkpoint.size == 4


@pytest.mark.parametrize(
    ("served", "why"),
    [
        (behind, "did not answer within"),
        (unsigned, "did not sign as m.example.org"),
        (another, "another tree than"),
        (garbage, "can't be used"),
        (endless, "more than"),
    ],
)
async def test_a_mirror_that_does_not_serve_the_head_does_not_count(
    mirror: PlayedCosigner, http: httpx.AsyncClient, served: Callable[[PlayedCosigner, Tree], bytes | None], why: str
) -> None:
    """That it took the head is nothing; its cosignature on the checkpoint that it serves is what counts."""
    client, tree = client_of(mirror, http), Tree().grow(3)
    await client.cosign(head_of(tree))
    mirror.bend = lambda _: Response(b"")
    tree.grow(2)
    mirror.served = served(mirror, tree)
    with pytest.raises(CosignerError, match=why):
        await client.cosign(head_of(tree))


async def test_a_silent_witness_is_given_up(witness: PlayedCosigner, http: httpx.AsyncClient) -> None:
    """One exchange takes a bounded time."""
    witness.gate.clear()
    with pytest.raises(CosignerError, match="did not answer within 1 s"):
        await client_of(witness, http).cosign(head_of(Tree().grow(1)))
    witness.gate.set()


async def test_a_dripping_witness_is_given_up(witness: PlayedCosigner, http: httpx.AsyncClient) -> None:
    """The bound is of the whole exchange, also where each single byte comes early enough."""

    async def drip() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x"
            await asyncio.sleep(0.05)

    witness.bend = lambda _: StreamingResponse(drip())
    with pytest.raises(CosignerError, match="did not answer within 1 s"):
        await client_of(witness, http).cosign(head_of(Tree().grow(1)))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:9", "can't be reached"),
        ("http://[::1", "its address is none"),
        ("ftp://127.0.0.1", "can't be reached"),
        ("http://127.0.0.1:99999999", "its address is none"),
    ],
)
async def test_an_address_where_nobody_is(http: httpx.AsyncClient, url: str, why: str) -> None:
    """Nobody there, and no address at all, are the cosigner's failure, not ours."""
    played = PlayedCosigner("w.example.org")
    cosigner = Cosigner(played.name, played.verifier, url)
    with pytest.raises(CosignerError, match=why):
        await CosignerClient("witness", cosigner, http=http, timing=QUICK).cosign(head_of(Tree().grow(1)))


@settings(max_examples=150, deadline=None)
@given(
    status=st.sampled_from([200, 201, 204, 400, 404, 409, 422, 500, 503]),
    body=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=80).map(lambda text: f"— w.example.org {text}\n".encode()),
        st.integers(-3, 1 << 64).map(lambda number: f"{number}\n".encode()),
    ),
    media_type=st.sampled_from(["text/plain", SIZE_TYPE, f"{SIZE_TYPE}; charset=utf-8", "application/json"]),
    kind=st.sampled_from(["witness", "mirror"]),
)
@example(status=409, body=b"2\n", media_type=SIZE_TYPE, kind="witness")
def test_no_answer_breaks_the_asker(status: int, body: bytes, media_type: str, kind: str) -> None:
    """Any status and any bytes end in a cosigner's failure, in nothing else, and soon."""

    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=httpx.ByteStream(body), headers={"Content-Type": media_type})

    async def ask() -> Cosigned:
        played = PlayedCosigner("w.example.org", kind="mirror" if kind == "mirror" else "witness")
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            timing = QUICK.__class__(ask_s=0.05, poll_s=0.01)
            return await CosignerClient(played.kind, played.cosigner, http=http, timing=timing).cosign(
                head_of(Tree().grow(3))
            )

    with pytest.raises(CosignerError):
        asyncio.run(ask())
