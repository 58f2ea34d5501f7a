"""Cosigners over real HTTP: honest by default, with a clock of their own, and bent by a test as far as it likes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker.log.cosigned.cosigners import Head
from broker.log.cosigned.panel import CosignTiming, Panel
from broker.wire.cosigning import SIZE_TYPE, AddCheckpoint, Kind, mirror_prefix, parse_add_checkpoint
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import EMPTY_ROOT, consistency_proof, verify_consistency
from broker.wire.notes import COSIGNATURE_V1, VerifierKey, cosign_note, parse_checkpoint, parse_note
from broker.wire.proofs import Cosigner
from tests.log.mirror_support import Tree, serving
from tests.log.support import NOW_US, key_of

NOW_S = NOW_US // 1_000_000
QUICK = CosignTiming(ask_s=1.0, grace_s=0.05, poll_s=0.02, first_retry_s=0.05, last_retry_s=0.1, close_s=0.05)

Bend = Callable[[AddCheckpoint], Response | None]


class PlayedCosigner:
    """Cosigns what grew from what it saw. `bend` may answer in its place; `gate` holds its answers while it is shut."""

    def __init__(self, name: str, *, kind: Kind = "witness", at_s: int = NOW_S) -> None:
        self.kind: Kind = kind
        self.key = key_of(name)
        self.verifier = VerifierKey(name, COSIGNATURE_V1, public_bytes(self.key))
        self.at_s = at_s
        self.size, self.root = 0, EMPTY_ROOT
        self.asked: list[AddCheckpoint] = []
        self.bend: Bend = lambda _: None
        self.served: bytes | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.port = 0

    @property
    def name(self) -> str:
        return self.verifier.name

    @property
    def cosigner(self) -> Cosigner:
        return Cosigner(self.name, self.verifier, f"http://127.0.0.1:{self.port}")

    def lines(self, note: bytes, *, at_s: int | None = None) -> bytes:
        """The signature line for a note, as a witness answers it."""
        alone = cosign_note(parse_note(note), self.name, self.key, at_s=self.at_s if at_s is None else at_s)
        return str(alone).encode().removeprefix(note)

    async def add(self, request: Request) -> Response:
        asked = parse_add_checkpoint(await request.body())
        self.asked.append(asked)
        await self.gate.wait()
        bent = self.bend(asked)
        return self.honest(asked) if bent is None else bent

    def honest(self, asked: AddCheckpoint) -> Response:
        if asked.old_size != self.size:
            return Response(f"{self.size}\n", 409, media_type=SIZE_TYPE)
        new = parse_checkpoint(parse_note(asked.checkpoint).text)
        if asked.old_size == new.size and new.root != self.root:
            return Response(f"{self.size}\n", 409, media_type=SIZE_TYPE)
        verify_consistency(self.size, self.root, new.size, new.root, asked.proof)
        self.size, self.root = new.size, new.root
        lines = self.lines(asked.checkpoint)
        if self.kind == "witness":
            return Response(lines)
        self.served = asked.checkpoint + lines
        return Response(b"")

    async def checkpoint(self, _: Request) -> Response:
        return Response(status_code=404) if self.served is None else Response(self.served)

    def routes(self, origin: str) -> list[Route]:
        path = mirror_prefix("", origin)
        return [
            Route("/add-checkpoint", self.add, methods=["POST"]),
            Route(f"{path}/checkpoint", self.checkpoint),
        ]


@contextlib.asynccontextmanager
async def playing(*cosigners: PlayedCosigner, origin: str) -> AsyncIterator[None]:
    """Serve cosigners on loopback, each at a port of its own, which it keeps when it is served again."""
    async with contextlib.AsyncExitStack() as stack:
        for one in cosigners:
            one.port = await stack.enter_async_context(serving(one.routes(origin), port=one.port))
        yield


@contextlib.asynccontextmanager
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


def panel_of(
    cosigners: Sequence[PlayedCosigner], *, witnesses_needed: int | None = None, mirrors_needed: int | None = None
) -> Panel:
    return Panel(
        tuple(one.cosigner for one in cosigners if one.kind == "witness"),
        tuple(one.cosigner for one in cosigners if one.kind == "mirror"),
        witnesses_needed,
        mirrors_needed,
    )


def head_of(tree: Tree, size: int | None = None) -> Head:
    """The head of a tree, as the sequencer would have it cosigned."""
    note = parse_note(tree.note(size))
    checkpoint = parse_checkpoint(note.text)

    async def prove(old_size: int) -> list[bytes]:
        return consistency_proof(old_size, checkpoint.size, tree.hash)

    return Head(note, checkpoint, prove)
