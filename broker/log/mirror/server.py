"""A mirror over HTTP: the copies as static files, C2SP tlog-mirror's add-checkpoint, and its status.

POST /add-checkpoint              as `witness.server` says; 200 has no body, and may come some seconds later
GET  /<origin hash>/checkpoint    the served checkpoint, with the mirror's cosignature; 404 while a file is damaged
GET  /<origin hash>/tile/…        tiles and bundles that it covers, byte for byte the log's; partial ones as
                                  `broker.log.partials` has it: for an older checkpoint, take the present one
POST /add-entries, /sign-subtree  501: this mirror pulls
GET  /                            JSON: name, key, and of each log the copy's URL, its size, how far behind, why, how
                                  many files are damaged, how much evidence
GET  /evidence                    JSON, as a witness's
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from broker.caching import IMMUTABLE, compressed, has_it, tag_of, takes_gzip
from broker.log.witness.answer import LogKeys, Refusal, read_submission
from broker.log.witness.server import Handler, add_checkpoint, json_page, text
from broker.log.witness.store import WitnessStore, origin_hash
from broker.wire.cosigning import ADD_CHECKPOINT, mirror_prefix
from broker.wire.encoding import WireError
from broker.wire.notes import VerifierKey
from broker.wire.tiles import parse_tile_path

from .checker import Checker
from .mirror import LogMirror
from .store import MirrorStore

_AT_ONCE = 262_144
_BINARY = "application/octet-stream"
_TILE_HEADERS = {
    "Cache-Control": IMMUTABLE,
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
}
_NOT_HERE = "the mirror has no such file at its present size"


class Mirror:
    """All logs that one mirror copies."""

    def __init__(
        self,
        mirrors: Sequence[LogMirror],
        *,
        own: VerifierKey,
        logs: LogKeys,
        store: WitnessStore,
        folder: Path,
        url: str = "",
    ) -> None:
        self.by_origin = {one.origin: one for one in mirrors}
        self.by_hash = {origin_hash(one.origin): one for one in mirrors}
        self.own = own
        self.logs = logs
        self.store = store
        self.folder = folder
        self.url = url

    async def add_checkpoint(self, body: bytes) -> bytes | Refusal:
        """Answer a request as `LogMirror.add_checkpoint` does."""
        asked = await asyncio.to_thread(read_submission, body, self.logs)
        if isinstance(asked, Refusal):
            return asked
        return await self.by_origin[asked.head.checkpoint.origin].add_checkpoint(asked)

    def status(self) -> dict[str, Any]:
        """Return what anybody may know."""
        logs = [one.status() | {"copy_url": mirror_prefix(self.url, origin)} for origin, one in self.by_origin.items()]
        return {"kind": "mirror", "name": self.own.name, "key": str(self.own), "logs": logs}

    def evidence(self) -> dict[str, Any]:
        """Return what is kept against the logs."""
        return {"evidence": [one for origin in self.by_origin for one in self.store.evidence(origin)]}

    async def run(self) -> None:
        """Follow all logs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for one in self.by_origin.values():
                tasks.create_task(one.run(), name=f"mirror {one.origin}")
                checker = Checker(one.copy, origin=one.origin, mended=one.mended)
                tasks.create_task(checker.run(), name=f"check {one.origin}")


def routes(mirror: Mirror) -> list[Route]:
    """Return the routes of a mirror."""
    return [
        Route("/", json_page(mirror.status)),
        Route("/evidence", json_page(mirror.evidence)),
        Route(f"/{ADD_CHECKPOINT}", add_checkpoint(mirror.add_checkpoint), methods=["POST"]),
        Route("/add-entries", _not_implemented, methods=["POST"]),
        Route("/sign-subtree", _not_implemented, methods=["POST"]),
        Route("/{origin}/checkpoint", _checkpoint(mirror)),
        Route("/{origin}/{tile:path}", _tile(mirror)),
    ]


async def _not_implemented(_: Request) -> Response:
    return text("this mirror reads entries at the log itself; it takes none", 501)


def _checkpoint(mirror: Mirror) -> Handler:
    async def checkpoint(request: Request) -> Response:
        found = mirror.by_hash.get(request.path_params["origin"])
        served = None if found is None else found.copy.shown
        return text(_NOT_HERE, 404) if served is None else text(str(served.note).encode())

    return checkpoint


def _tile(mirror: Mirror) -> Handler:
    async def tile(request: Request) -> Response:
        found = mirror.by_hash.get(request.path_params["origin"])
        try:
            wanted = parse_tile_path(request.path_params["tile"])
        except WireError as error:
            return text(str(error), 404)
        if found is None or not found.copy.covers(wanted):
            return text(_NOT_HERE, 404)
        store = MirrorStore(mirror.folder / origin_hash(found.origin))
        return await asyncio.to_thread(_answer, store.path(wanted), request, gzip=wanted.level == "entries")

    return tile


def _answer(path: Path, request: Request, *, gzip: bool) -> Response:
    """Return a file as it stands; a large one in pieces, so that slow readers cost no memory."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > _AT_ONCE else file.read()
    except (FileNotFoundError, NotADirectoryError):
        return text(_NOT_HERE, 404)
    if size > _AT_ONCE:
        headers = {**_TILE_HEADERS, "Content-Length": str(size)}
        return StreamingResponse(_pieces(path), media_type=_BINARY, headers=headers)
    encoding = "gzip" if gzip and takes_gzip(request.headers.get("accept-encoding")) else ""
    headers = {**_TILE_HEADERS, "ETag": tag_of(data, encoding=encoding)}
    if encoding:
        headers["Content-Encoding"] = encoding
    if has_it(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(compressed(data) if encoding else data, media_type=_BINARY, headers=headers)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    """Yield a file's contents; it is opened when the answer begins, since some never do."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, _AT_ONCE):
            yield piece
