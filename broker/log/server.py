"""The log over HTTP: where envelopes are submitted, and the static files as C2SP tlog-tiles names them.

Everything that is read here is public and the same for everybody: a cache between may carry it. Tiles never change,
the checkpoint is kept for seconds, what is not there yet is not kept at all.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from broker.caching import FRESH, IMMUTABLE, has_it, tag_of, takes_gzip
from broker.wire.encoding import WireError
from broker.wire.envelopes import MAX_ENVELOPE_BYTES
from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, parse_tile_path

from .errors import LogBusyError, LogError, NotYetPublishedError, StorageError
from .intake import Refused
from .service import LogService, Submitted
from .shelf import Shelf
from .storage.folder import Storage

log = structlog.get_logger()

SECONDS = "public, max-age=2"
MINUTES = "public, max-age=300"  # a proof under an older checkpoint is none the worse
RETRY_AFTER_S = 2
_STATUS = {"malformed": 400, "type": 400, "signature": 403, "unknown-agency": 403, "not-yours": 403}
_RULE_STATUS = 422
_HANG_UP = {"Connection": "close"}  # else the rest of the body would be read and thrown away, however long
_PIECE_BYTES = 64 * 1024  # so much of a large bundle waits for a reader that is slow
_LEAF_FORM = re.compile(r"[0-9a-f]{64}", re.ASCII)

_Handler = Callable[[Request], Awaitable[Response]]


class _TooLargeError(Exception):
    """The body is larger than any envelope."""


def routes(service: LogService, storage: Storage) -> list[Route]:
    """Return the routes below `/log`.

    POST /log/entries           body: an envelope's exact bytes; 201 (200 if it was there): {"index", "leaf", "proof"};
                                202 without "proof" while the entry awaits its cosignatures;
                                4xx and 503: {"error": {"code", "message"}} with the codes of `intake`, `too-large`,
                                `unavailable`
    GET  /log/checkpoint        signed note, with the cosignatures of a quorum
    GET  /log/tile/...          hash tiles and entry bundles that the head covers, which mirrors need before they cosign
                                it; bundles compressed for who asks for gzip. Partial ones go sooner than C2SP
                                tlog-tiles says (`partials`): 404 for the full one as well means that the asker's
                                checkpoint is old, and the present one is to be asked for
    GET  /log/policy            tlog-policy
    GET  /log/proof/<leaf>      tlog-proof of the entry with this leaf hash in hex; 503 with Retry-After, and the code
                                `awaiting`, while it awaits its cosignatures
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
            return _error(413, "too-large", f"an envelope has at most {MAX_ENVELOPE_BYTES} bytes", _HANG_UP)
        except LogBusyError as error:
            return _error(503, "unavailable", str(error))
        except (LogError, OSError) as error:
            log.warning("submit_failed", error=str(error))
            return _error(503, "unavailable", "the log can't take entries now; send the same envelope again later")
        match result:
            case Submitted(index, leaf, proof, created):
                if proof is None:
                    return JSONResponse({"index": index, "leaf": leaf}, 202, headers=_later())
                body = {"index": index, "leaf": leaf, "proof": proof.decode()}
                return JSONResponse(body, 201 if created else 200, headers={"Cache-Control": FRESH})
            case Refused(code, message):
                return _error(_STATUS.get(code, _RULE_STATUS), code, message)

    return submit


def _checkpoint(service: LogService) -> _Handler:
    async def checkpoint(request: Request) -> Response:
        note = await service.log.published()
        if note is None:
            return _error(503, "unavailable", "no checkpoint has enough cosignatures yet", _later())
        return _text(request, note, SECONDS)

    return checkpoint


def _policy(service: LogService) -> _Handler:
    async def policy(request: Request) -> Response:
        return _text(request, service.policy.encode(), MINUTES)

    return policy


def _proof(service: LogService) -> _Handler:
    async def proof(request: Request) -> Response:
        leaf = request.path_params["leaf"]
        try:
            found = await service.proof_of(leaf) if _LEAF_FORM.fullmatch(leaf) else None
        except NotYetPublishedError as error:
            return _error(503, "awaiting", str(error), _later())
        except (LogError, OSError) as error:
            log.warning("proof_failed", error=str(error))
            return _error(503, "unavailable", "the log can't be read now; try again later", _later())
        return (
            _missing("the log holds no entry with this leaf hash") if found is None else _text(request, found, MINUTES)
        )

    return proof


def _tile(service: LogService, storage: Storage) -> _Handler:
    shelf = Shelf(storage.get)

    async def tile(request: Request) -> Response:
        try:
            wanted = parse_tile_path(request.path_params["tile"])
        except WireError as error:
            return _missing(str(error))
        entries = wanted.level == "entries"
        gzip = entries and takes_gzip(request.headers.get("accept-encoding"))
        # What no head covers may still be replaced (storage/folder.py, 3): it must not reach a cache.
        packed = None
        try:
            if _covered(wanted, service.log.size):
                packed = await shelf.get(wanted.path, gzip=gzip)
        except (LogError, OSError) as error:
            log.warning("tile_not_read", tile=wanted.path, error=str(error))
            return _error(503, "unavailable", "the log can't be read now; try again later", _later())
        if packed is None:
            return _missing("the log has no such tile at its present size; ask for the full tile")
        headers = _headers(IMMUTABLE, packed.tag)
        if entries:
            headers["Vary"] = "Accept-Encoding"
        if gzip:
            headers["Content-Encoding"] = "gzip"
        if has_it(request.headers.get("if-none-match"), packed.tag):
            return Response(status_code=304, headers=headers)
        headers["Content-Length"] = str(len(packed.body))
        if len(packed.body) <= _PIECE_BYTES or request.method == "HEAD":
            return Response(packed.body, media_type="application/octet-stream", headers=headers)
        body = _pieces(shelf, wanted.path, len(packed.body), gzip=gzip)
        return StreamingResponse(body, media_type="application/octet-stream", headers=headers)

    return tile


async def _pieces(shelf: Shelf, path: str, size: int, *, gzip: bool) -> AsyncIterator[bytes]:
    """Yield a large body; between two pieces the shelf alone keeps it, so that slow readers fill no memory."""
    for start in range(0, size, _PIECE_BYTES):
        packed = await shelf.get(path, gzip=gzip)
        if packed is None:
            raise StorageError(path, "it was there a moment ago", "look what takes files away")
        piece = packed.body[start : start + _PIECE_BYTES]
        del packed
        yield piece


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


def _text(request: Request, data: bytes, keep: str) -> Response:
    headers = _headers(keep, tag_of(data))
    if has_it(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="text/plain; charset=utf-8", headers=headers)


def _headers(keep: str, tag: str) -> dict[str, str]:
    return {
        "Cache-Control": keep,
        "ETag": tag,
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Origin": "*",
    }


def _later() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_S), "Cache-Control": FRESH}


def _missing(message: str) -> Response:
    return _error(404, "not-found", message)


def _error(status: int, code: str, message: str, more: Mapping[str, str] | None = None) -> Response:
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, status, headers={"Cache-Control": FRESH, **(more or {})})
