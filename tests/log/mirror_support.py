"""A log that others mirror and witness, over real HTTP: honest by default, and bent by a test as far as it likes."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from broker.http import Server
from broker.log.errors import LogReadError
from broker.log.growth import Edge, edge_tiles, grow
from broker.log.mirror.copied import Copy
from broker.log.mirror.mirror import LogMirror
from broker.log.mirror.notes import MirrorSigner
from broker.log.mirror.server import Mirror
from broker.log.mirror.source import LogSource, Source
from broker.log.mirror.store import MirrorStore
from broker.log.witness.answer import Refusal, read_submission
from broker.log.witness.store import WitnessStore, origin_hash
from broker.wire.cosigning import AddCheckpoint
from broker.wire.encoding import to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import consistency_proof, root_hash
from broker.wire.notes import COSIGNATURE_V1, ED25519, Checkpoint, VerifierKey, cosign_note, parse_note, sign_note
from broker.wire.proofs import Cosigner, make_policy, parse_policy
from broker.wire.tiles import Tile, decode_entries, fold, parse_tile_path, tile_for_hash
from tests.log.support import Clock, key_of

_TLS = ssl.create_default_context()  # takes longer to make than most of what is tested here
ORIGIN = "log.example.org/mirrored"
LOG_KEY = key_of("mirrored log")
LOG_VERIFIER = VerifierKey(ORIGIN, ED25519, public_bytes(LOG_KEY))
LOGS = {ORIGIN: [LOG_VERIFIER]}
WITNESS_KEY = key_of("some witness")
WITNESS = VerifierKey("w.example.org", COSIGNATURE_V1, public_bytes(WITNESS_KEY))


class Tree:
    """A log's tree in memory, with all the tiles it ever had; `forked` has other entries from some index on."""

    def __init__(self, *, salt: bytes = b"") -> None:
        self.salt = salt
        self.edge = Edge()
        self.tiles: dict[Tile, bytes] = {}
        self.entries: list[bytes] = []

    def grow(self, count: int) -> "Tree":
        start = self.edge.size
        return self.add([self.salt + b"entry %d" % number for number in range(start, start + count)])

    def add(self, entries: Sequence[bytes]) -> "Tree":
        self.edge, written = grow(self.edge, entries)
        self.tiles.update(written)
        self.entries += entries
        return self

    def forked(self, at: int, size: int, *, salt: bytes = b"other ") -> "Tree":
        return Tree(salt=salt).add(self.entries[:at]).grow(size - at)

    @property
    def size(self) -> int:
        return self.edge.size

    def root(self, size: int | None = None) -> bytes:
        return root_hash(self.size if size is None else size, self.hash)

    def hash(self, level: int, index: int) -> bytes:
        tile, first, count = tile_for_hash(level, index, self.size)
        return fold(self.tiles[tile], first, count)

    def note(self, size: int | None = None, *, key: Ed25519PrivateKey = LOG_KEY, origin: str = ORIGIN) -> bytes:
        size = self.size if size is None else size
        return str(sign_note(Checkpoint(origin, size, self.root(size)).text, origin, key)).encode()

    def submission(self, old_size: int, size: int | None = None) -> bytes:
        """The body of add-checkpoint for growth from `old_size`."""
        size = self.size if size is None else size
        proof = tuple(consistency_proof(old_size, size, self.hash)) if old_size <= size else ()
        return AddCheckpoint(old_size, proof, self.note(size)).encode()

    def contains(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.size <= self.size and self.root(checkpoint.size) == checkpoint.root


def witnessed(
    note: bytes, *, at_s: int = 1_700_000_000, key: Ed25519PrivateKey = WITNESS_KEY, name: str = WITNESS.name
) -> bytes:
    return str(cosign_note(parse_note(note), name, key, at_s=at_s)).encode()


Bend = Callable[[str, bytes | None], bytes | Response | None]


@dataclass
class LogServer:
    """A tree below /log, to be served by `serving`, or read as it lies there.

    `published` is its checkpoint, `bend` changes what is served, `asked` keeps the paths that were asked for.
    """

    tree: Tree
    published: bytes | None = None
    bend: Bend = lambda _, data: data
    asked: list[str] = field(default_factory=list)
    port: int = 0
    pause: Callable[[str], "asyncio.Future[None] | None"] = lambda _: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/log"

    def publish(self) -> None:
        self.published = witnessed(self.tree.note())

    async def checkpoint(self) -> bytes:
        if self.published is None:
            raise LogReadError("checkpoint", "nothing is published")
        return self.published

    async def tile(self, tile: Tile) -> bytes | None:
        return self.tree.tiles.get(tile)

    async def answer(self, request: Request) -> Response:
        path = request.path_params["path"]
        self.asked.append(path)
        held = self.pause(path)
        if held is not None:
            await held
        data = self.published if path == "checkpoint" else self.tree.tiles.get(parse_tile_path(path))
        bent = self.bend(path, data)
        if isinstance(bent, Response):
            return bent
        return Response(status_code=404) if bent is None else Response(bent, media_type="application/octet-stream")

    def routes(self) -> list[BaseRoute]:
        return [Route("/log/{path:path}", self.answer)]


@contextlib.asynccontextmanager
async def serving(routes: Sequence[BaseRoute], *, port: int = 0) -> AsyncIterator[int]:
    """Serve routes on loopback; gives the port."""
    server = Server(Starlette(routes=list(routes)))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        task = asyncio.create_task(server.serve(sockets=[sock]))
        await server.listening.wait()
        try:
            yield sock.getsockname()[1]
        finally:
            server.should_exit = True
            await task


def write_facts(path: Path, url: str, *, origin: str = ORIGIN, log_key: VerifierKey = LOG_VERIFIER) -> Path:
    """Write a neighbourhood.json whose log is at `<url>/log`."""
    facts = {
        "origin": origin,
        "policy": make_policy(log_key),
        "operator_key": to_base64(public_bytes(key_of("operator"))),
        "inbox_key": to_base64(public_bytes(key_of("inbox"))),
        "url": url,
        "mqtt_host": "127.0.0.1",
        "mqtt_port": 1883,
    }
    path.write_text(json.dumps(facts))
    return path


MIRROR_KEY = key_of("mirror under test")
MIRROR_NAME = "mirror.example.org"


@dataclass
class Mirrored:
    """A mirror of a `LogServer` on a folder, as one process would hold it."""

    folder: Path
    server: "LogServer | str"
    clock: Clock = field(default_factory=Clock)
    fsync: Callable[[int], None] = os.fsync
    poll_s: float = 60.0
    wait_s: float = 10.0
    answer_s: float = 30.0

    def __post_init__(self) -> None:
        self.signer = MirrorSigner(MIRROR_NAME, MIRROR_KEY)
        self.store = WitnessStore(self.folder, fsync=self.fsync)
        self.files = MirrorStore(self.folder / "logs" / origin_hash(ORIGIN), fsync=self.fsync)
        url = self.server if isinstance(self.server, str) else self.server.url
        # Without a port it is not served, and read as it lies there.
        self.http = httpx.AsyncClient(timeout=30, verify=_TLS, trust_env=False)
        self.source: Source = LogSource(url, client=self.http, answer_s=self.answer_s)
        if isinstance(self.server, LogServer) and not self.server.port:
            self.source = self.server
        self.copy = Copy(store=self.files, source=self.source, signer=self.signer, now_us=self.clock)
        self.log = LogMirror(
            origin=ORIGIN,
            logs=LOGS,
            copy=self.copy,
            source=self.source,
            store=self.store,
            own=self.signer.verifier,
            now_us=self.clock,
            witnesses=[WITNESS],
            poll_s=self.poll_s,
            wait_s=self.wait_s,
        )

    async def __aenter__(self) -> Self:
        self.store.claim()
        self.log.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.store.release()
        await self.http.aclose()

    async def submit(self, body: bytes) -> bytes | Refusal:
        """Submit a checkpoint while the mirror runs; returns once it has answered."""
        asked = read_submission(body, LOGS)
        if isinstance(asked, Refusal):
            return asked
        running = asyncio.create_task(self.log.run())
        try:
            return await self.log.add_checkpoint(asked)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    def kinds(self) -> list[str]:
        """What sorts of evidence are kept."""
        return [one["kind"] for one in self.store.evidence(ORIGIN)]

    def mirror(self) -> Mirror:
        return Mirror(
            [self.log],
            own=self.signer.verifier,
            logs=LOGS,
            store=self.store,
            folder=self.folder / "logs",
            url="https://mirror.example.org",
        )


def stored_tiles(folder: Path) -> dict[Tile, bytes]:
    """Every tile that a mirror has in its folder."""
    root = folder / "logs" / origin_hash(ORIGIN)
    paths = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    return {
        parse_tile_path(str(path)): (root / path).read_bytes()
        for path in paths
        if path.name != "checkpoint" and path.suffix != ".tmp"
    }


def served_size(folder: Path) -> int:
    """The size of the checkpoint on the disk, which must be the log's and the mirror's, and have all its tiles."""
    data = MirrorStore(folder / "logs" / origin_hash(ORIGIN)).checkpoint()
    if data is None:
        return 0
    policy = parse_policy(
        make_policy(
            LOG_VERIFIER, mirrors=[Cosigner("m", MirrorSigner(MIRROR_NAME, MIRROR_KEY).verifier)], mirrors_needed=1
        )
    )
    checkpoint = policy.check(data)
    tiles = stored_tiles(folder)
    tree = Tree()
    for index in range(-(-checkpoint.size // 256)):
        width = min(256, checkpoint.size - index * 256)
        tree.add(decode_entries(tiles[Tile("entries", index, width)], width=width))
    assert tree.root() == checkpoint.root
    needed = set(edge_tiles(checkpoint.size)) | {tile for tile in tree.tiles if tile.width == 256}
    assert all(tiles[tile] == tree.tiles[tile] for tile in needed)
    return checkpoint.size
