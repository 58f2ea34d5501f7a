"""The log over HTTP: where envelopes are submitted, and the static files as C2SP tlog-tiles names them."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from broker.wire.encoding import WireError
from broker.wire.envelopes import MAX_ENVELOPE_BYTES
from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, parse_tile_path

from .errors import LogBusyError, LogError
from .intake import Refused
from .service import LogService, Submitted
from .storage import Storage

log = structlog.get_logger()

IMMUTABLE = "public, max-age=31536000, immutable"
FRESH = "no-store"
_STATUS = {"malformed": 400, "type": 400, "signature": 403, "unknown-agency": 403, "not-yours": 403}
_RULE_STATUS = 422
_LEAF_FORM = re.compile(r"[0-9a-f]{64}", re.ASCII)

_Handler = Callable[[Request], Awaitable[Response]]


class _TooLargeError(Exception):
    """The body is larger than any envelope."""


def routes(service: LogService, storage: Storage) -> list[Route]:
    """Return the routes below `/log`.

    POST /log/entries           body: an envelope's exact bytes; 201 (200 if it was there): {"index", "leaf", "proof"};
                                4xx and 503: {"error": {"code", "message"}} with the codes of `intake`, `too-large`,
                                `unavailable`
    GET  /log/checkpoint        signed note
    GET  /log/tile/...          hash tiles and entry bundles that the checkpoint covers
    GET  /log/policy            tlog-policy
    GET  /log/proof/<leaf>      tlog-proof of the entry with this leaf hash in hex
    """
    return [
        Route("/log/entries", _submit(service), methods=["POST"]),
        Route("/log/checkpoint", _checkpoint(service)),
        Route("/log/policy", _policy(service)),
        Route("/log/proof/{leaf}", _proof(service)),
        Route("/log/{tile:path}", _tile(service, storage)),
    ]


def _submit(service: LogService) -> _Handler:
    async def submit(request: Request) -> Response:
        try:
            result = await service.submit(await _body(request))
        except _TooLargeError:
            return _error(413, "too-large", f"an envelope has at most {MAX_ENVELOPE_BYTES} bytes")
        except LogBusyError as error:
            return _error(503, "unavailable", str(error))
        except (LogError, OSError) as error:
            log.warning("submit_failed", error=str(error))
            return _error(503, "unavailable", "the log can't take entries now; send the same envelope again later")
        match result:
            case Submitted(index, leaf, proof, created):
                body = {"index": index, "leaf": leaf, "proof": proof.decode()}
                return JSONResponse(body, 201 if created else 200)
            case Refused(code, message):
                return _error(_STATUS.get(code, _RULE_STATUS), code, message)

    return submit


def _checkpoint(service: LogService) -> _Handler:
    async def checkpoint(_: Request) -> Response:
        try:
            return _text(await service.log.checkpoint())
        except LogError as error:
            return _error(503, "unavailable", str(error))

    return checkpoint


def _policy(service: LogService) -> _Handler:
    async def policy(_: Request) -> Response:
        return _text(service.policy.encode())

    return policy


def _proof(service: LogService) -> _Handler:
    async def proof(request: Request) -> Response:
        leaf = request.path_params["leaf"]
        found = await service.proof_of(leaf) if _LEAF_FORM.fullmatch(leaf) else None
        return _missing("the log holds no entry with this leaf hash") if found is None else _text(found)

    return proof


def _tile(service: LogService, storage: Storage) -> _Handler:
    async def tile(request: Request) -> Response:
        try:
            wanted = parse_tile_path(request.path_params["tile"])
        except WireError as error:
            return _missing(str(error))
        # What no checkpoint covers may still be replaced (storage.py, 3): it must not reach a cache.
        data = None
        if _covered(wanted, service.log.size):
            data = await asyncio.to_thread(storage.get, wanted.path)
        if data is None:
            return _missing("the log has no such tile at its present size; ask for the full tile")
        headers = {"Cache-Control": IMMUTABLE, "X-Content-Type-Options": "nosniff"}
        return Response(data, media_type="application/octet-stream", headers=headers)

    return tile


def _covered(tile: Tile, size: int) -> bool:
    level = 0 if isinstance(tile.level, str) else tile.level
    return tile.index * TILE_WIDTH + tile.width <= size >> (TILE_HEIGHT * level)


async def _body(request: Request) -> bytes:
    """Read at most one envelope, whatever the length header says."""
    parts: list[bytes] = []
    total = 0
    async for part in request.stream():
        total += len(part)
        if total > MAX_ENVELOPE_BYTES:
            raise _TooLargeError
        parts.append(part)
    return b"".join(parts)


def _text(data: bytes) -> Response:
    headers = {"Cache-Control": FRESH, "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type="text/plain; charset=utf-8", headers=headers)


def _missing(message: str) -> Response:
    return _error(404, "not-found", message)


def _error(status: int, code: str, message: str) -> Response:
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, status, headers={"Cache-Control": FRESH})
