"""tlog-witness over HTTP: aics-witness cosigns what our log shows it, and its client is served by our witness."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from broker.log.cosigned.cosigners import CosignerClient, CosignerError, Head
from broker.log.cosigned.panel import CosignTiming
from broker.log.witness.server import routes
from broker.log.witness.service import Witness
from broker.log.witness.store import WitnessStore
from broker.wire.cosigning import AddCheckpoint, parse_add_checkpoint
from broker.wire.encoding import WireError, to_base64
from broker.wire.merkle import EMPTY_ROOT, consistency_proof
from broker.wire.notes import Note, cosigned_at, parse_checkpoint, parse_note, sign_note
from broker.wire.proofs import Cosigner
from tests.oracle.serving import serving
from tests.oracle.support import (
    AT_S,
    LOG,
    LOG_KEY,
    ORIGIN,
    WITNESS,
    WITNESS_KEY,
    Leaves,
    checkpoint_of,
    entries_of,
    need_module,
)
from tests.wire.support import key_of

ENTRIES = entries_of(40)
TREE = Leaves(ENTRIES)
HEADS = {size: checkpoint_of(ENTRIES[:size]) for size in (0, 1, 7, 8, 20, 40)}
FORK = sign_note(HEADS[20].text.replace(HEADS[20].text.split("\n")[2], to_base64(EMPTY_ROOT)), ORIGIN, LOG)


def asked(old: int, size: int, *, note: Note | None = None, proof: tuple[bytes, ...] | None = None) -> bytes:
    path = tuple(consistency_proof(old, size, TREE)) if proof is None else proof
    return AddCheckpoint(old, path, str(note or HEADS[size]).encode()).encode()


@contextmanager
def their_witness(folder: Path) -> Iterator[str]:
    """Run aics-witness for our log; yields its URL."""
    peer, config, store = (need_module(f"aics_witness.{name}") for name in ("service", "config", "store"))
    kept = store.WitnessStore(folder / "witness.db", create=True)
    logs = [config.LogConfig.from_strings(ORIGIN, [str(LOG_KEY)])]
    witness = peer.Witness(WITNESS_KEY.name, WITNESS, kept, logs, clock=lambda: AT_S)
    server = peer.make_server(witness)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
        kept.close()


@contextmanager
def our_witness(folder: Path) -> Iterator[str]:
    """Run our witness for the log; yields its URL."""
    witness = Witness(
        name=WITNESS_KEY.name,
        key=WITNESS,
        logs={ORIGIN: (LOG_KEY,)},
        store=WitnessStore(folder),
        now_us=lambda: AT_S * 1_000_000,
    )
    witness.open()
    try:
        with serving(Starlette(routes=routes(witness))) as url:
            yield url
    finally:
        witness.close()


class TestTheirWitness:
    """What our log sends it, and what comes back."""

    @pytest.fixture
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient() as client:
            yield client

    def client(self, url: str, http: httpx.AsyncClient, **changes: Any) -> CosignerClient:
        cosigner = Cosigner("w", changes.get("key", WITNESS_KEY), url)
        return CosignerClient("witness", cosigner, http=http, timing=CosignTiming(ask_s=10))

    def head(self, size: int, *, note: Note | None = None) -> Head:
        async def prove(old: int) -> list[bytes]:
            return consistency_proof(old, size, TREE)

        return Head(note or HEADS[size], parse_checkpoint((note or HEADS[size]).text), prove)

    async def test_it_cosigns_our_growing_log(self, tmp_path: Path, http: httpx.AsyncClient) -> None:
        """Size by size, the same one again too; a client that forgot the size learns it from the conflict."""
        with their_witness(tmp_path) as url:
            client = self.client(url, http)
            for size in (1, 7, 7, 8, 20):
                found = await client.cosign(self.head(size))
                cosigned = Note(HEADS[size].text, (*HEADS[size].signatures, found.signature))
                assert cosigned_at(cosigned, WITNESS_KEY) == found.at_s == AT_S
            forgetful = self.client(url, http)
            assert (await forgetful.cosign(self.head(40))).checkpoint.size == 40

    async def test_it_does_not_cosign_a_fork_or_a_forgery(self, tmp_path: Path, http: httpx.AsyncClient) -> None:
        """Another tree of the same size, a smaller one, a signature that is not the log's: nothing is taken."""
        with their_witness(tmp_path) as url:
            await self.client(url, http).cosign(self.head(20))
            strange = sign_note(HEADS[40].text, ORIGIN, key_of("somebody"))
            for head in (self.head(20, note=FORK), self.head(8), self.head(40, note=strange)):
                with pytest.raises(CosignerError):
                    await self.client(url, http).cosign(head)
            wrong = self.client(url, http, key=type(WITNESS_KEY)(WITNESS_KEY.name, WITNESS_KEY.kind, bytes(32)))
            with pytest.raises(CosignerError, match="did not sign"):
                await wrong.cosign(self.head(40))


def their_client(url: str, **changes: Any) -> Any:
    feeder = need_module("aics_witness.feeder")
    return feeder.WitnessClient(url, str(WITNESS_KEY), clock=lambda: AT_S, max_attempts=1, **changes)


def prove(old: int, new: int) -> list[bytes]:
    return consistency_proof(old, new, TREE)


class TestTheirClient:
    """What it asks our witness, and what it makes of the answers."""

    def test_it_gets_our_cosignatures(self, tmp_path: Path) -> None:
        """Of a growing log, and of the same head again; it verifies each itself."""
        with our_witness(tmp_path) as url, their_client(url) as client:
            for size in (1, 7, 7, 8, 20, 40):
                lines = client.submit(str(HEADS[size]), prove)
                assert cosigned_at(parse_note(f"{HEADS[size]}{lines}".encode()), WITNESS_KEY) == AT_S

    def test_it_learns_the_size_from_our_conflict(self, tmp_path: Path) -> None:
        """A client that was never here before begins at the size that we name."""
        with our_witness(tmp_path) as url:
            with their_client(url) as first:
                first.submit(str(HEADS[20]), prove)
            with their_client(url) as second:
                second.submit(str(HEADS[40]), prove)
                assert second.known_sizes == {ORIGIN: 40}

    def test_it_is_refused_as_specified(self, tmp_path: Path) -> None:
        """Each status is the one that the specification names, and nothing is cosigned."""
        feeder = need_module("aics_witness.feeder")
        strange = sign_note(HEADS[40].text, ORIGIN, key_of("somebody"))
        elsewhere = sign_note(HEADS[40].text.replace(ORIGIN, "other.example.org"), "other.example.org", LOG)
        with our_witness(tmp_path) as url, their_client(url) as client:
            client.submit(str(HEADS[20]), prove)
            for note, status in ((strange, 403), (elsewhere, 404)):
                with pytest.raises(feeder.WitnessRejected) as refused:
                    client.submit(str(note), prove, old_size=20)
                assert refused.value.status == status
            with pytest.raises(feeder.WitnessRejected) as refused:
                client.submit(str(HEADS[40]), (20, [EMPTY_ROOT]))
            assert refused.value.status == 422
            with pytest.raises(feeder.WitnessRejected) as refused:
                client.submit(str(FORK), (20, []))
            assert refused.value.status == 409
            with pytest.raises(feeder.WitnessAhead):
                client.submit(str(HEADS[8]), prove)


BODIES = {
    "first": asked(0, 7),
    "growth": asked(7, 20),
    "the same again": asked(20, 20),
    "an old size above": asked(0, 7).replace(b"old 0", b"old 8"),
    "a proof from nothing": asked(0, 7, proof=(EMPTY_ROOT,)),
    "a proof cut short": asked(7, 20, proof=tuple(consistency_proof(7, 20, TREE)[:-1])),
    "a stale size": asked(1, 20),
    "a fork": asked(20, 20, note=FORK),
    "a fork with a stale size": asked(7, 20, note=FORK),
    "zeros before": asked(0, 7).replace(b"old 0", b"old 00"),
    "no blank line": asked(0, 7).replace(b"\n\n", b"\n", 1),
    "a hash cut short": asked(7, 20).replace(b"=\n", b"\n", 1),
    "no checkpoint": b"old 0\n\n",
    "nothing": b"",
    "an empty tree": asked(0, 0),
    "a line more than any tree is high": asked(7, 20, proof=(EMPTY_ROOT,) * 64),
}


@pytest.mark.parametrize("what", BODIES)
def test_both_witnesses_decide_alike(tmp_path: Path, what: str) -> None:
    """Asked the same after the same, both answer with the same status, type, size and cosignature.

    But for a fork, where the specification says 409 and theirs says 422.
    """
    history = [] if what in {"first", "an empty tree", "a proof from nothing", "zeros before"} else [asked(0, 7)]
    history += [asked(7, 20)] if what not in {"first", "growth", "a proof cut short"} and history else []
    answers = []
    for witness in (their_witness, our_witness):
        folder = tmp_path / witness.__name__
        folder.mkdir()
        with witness(folder) as url, httpx.Client() as http:
            for body in history:
                assert http.post(f"{url}/add-checkpoint", content=body).status_code == 200
            answer = http.post(f"{url}/add-checkpoint", content=BODIES[what])
        kind = answer.headers["Content-Type"]
        said = answer.content if answer.status_code == 200 or kind == "text/x.tlog.size" else b""
        answers.append((answer.status_code, kind == "text/x.tlog.size", said))
    if what == "a fork":
        assert answers == [(422, False, b""), (409, True, b"20\n")]
    else:
        assert answers[0] == answers[1]


@pytest.mark.parametrize("what", BODIES)
def test_both_parse_a_body_alike(what: str) -> None:
    """Old size, proof and checkpoint, or a refusal; theirs also refuses what holds no checkpoint at once."""
    protocol = need_module("aics_witness.protocol")
    try:
        theirs = protocol.parse_add_checkpoint_request(BODIES[what])
    except ValueError:
        theirs = None
    try:
        ours = parse_add_checkpoint(BODIES[what])
    except WireError:
        ours = None
    if theirs is None or ours is None:
        assert (theirs is None and ours is None) or what == "no checkpoint"
        return
    assert (ours.old_size, ours.proof, ours.checkpoint) == (theirs.old_size, theirs.proof, theirs.checkpoint)
    assert protocol.format_add_checkpoint_request(ours.old_size, ours.proof, ours.checkpoint) == ours.encode()
