"""Pictures and files for the page, each behind a signed address. Served from memory, by the byte range if asked."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from broker.wire.encoding import WireError
from device.consent.errors import ConsentError
from device.control import ControlError
from device.vault.errors import VaultError
from device.video.errors import VideoError

from .cell import Cell, Unlocked
from .errors import ApiError
from .household import NoDeviceError
from .signedurls import PREFIX, AddressError

CHUNK = 256 * 1024
# Of a range without an end: a browser has six connections for all of a page, and a film that waits keeps its own.
MOST_AT_ONCE = 4 << 20
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")
Shown = tuple[bytes | memoryview, str, str | None]  # what it is, its type, and its name if it is to be kept
_FAULTS = (ConsentError, ControlError, NoDeviceError, VaultError, VideoError, WireError)


def route(cell: Cell) -> Route:
    """Return the route of all media."""

    async def serve(request: Request) -> Response:
        try:
            show = cell.unlocked.addresses.read(request.url.path, cell.now_us())
            data, kind, name = await asyncio.to_thread(lambda: _shown(cell, cell.unlocked, show))
        except AddressError as error:
            return JSONResponse({"error": str(error)}, 403)
        except ApiError as error:
            return JSONResponse({"error": error.message}, error.status)
        except _FAULTS as error:
            return JSONResponse({"error": str(error)}, 502)
        return ranged(data, kind, request.headers.get("range"), name=name)

    return Route(f"{PREFIX}{{address:path}}", serve, methods=["GET"])


def _shown(cell: Cell, unlocked: Unlocked, show: Mapping[str, Any]) -> Shown:
    return _SHOW[show["what"]](cell, unlocked, show)


def _clip(cell: Cell, unlocked: Unlocked, show: Mapping[str, Any]) -> Shown:
    device = cell.mine(show["device"])
    film = unlocked.films.film(device, show["clip"], show["from_us"], show["until_us"])
    return film.mp4, "video/mp4", None


def _thumbnail(cell: Cell, unlocked: Unlocked, show: Mapping[str, Any]) -> Shown:
    device = cell.mine(show["device"])
    return unlocked.films.thumbnail(device, show["clip"], show["number"]), "image/jpeg", None


def _strip(cell: Cell, unlocked: Unlocked, show: Mapping[str, Any]) -> Shown:
    pictures = unlocked.films.strip(cell.mine(show["device"]), show["clip"])
    found = next((jpeg for at_us, jpeg in pictures if at_us == show["at_us"]), None)
    if found is None:
        raise ApiError(404, "this picture is not here any more")
    return found, "image/jpeg", None


def _draft(_: Cell, unlocked: Unlocked, show: Mapping[str, Any]) -> Shown:
    made = unlocked.drafts.find(show["draft"]).ready(show["sha256"])
    return made.read(show["file"]), "video/mp4", None


def _ledger(cell: Cell, _: Unlocked, show: Mapping[str, Any]) -> Shown:
    device = cell.mine(show["device"])
    return device.exchange("ledger")[1], "application/octet-stream", f"{device.name}-ledger.jsonl"


def _receipt(cell: Cell, _: Unlocked, show: Mapping[str, Any]) -> Shown:
    device = cell.mine(show["device"])
    receipt = device.call("request", leaf=show["leaf"])["receipt"]
    if receipt is None:
        raise ApiError(404, "there is no receipt yet")
    return receipt.encode(), "application/octet-stream", f"{device.name}-{show['leaf'][:12]}-receipt.dsse.json"


_SHOW: Mapping[str, Callable[[Cell, Unlocked, Mapping[str, Any]], Shown]] = {
    "clip": _clip,
    "thumbnail": _thumbnail,
    "strip": _strip,
    "draft": _draft,
    "ledger": _ledger,
    "receipt": _receipt,
}


def ranged(data: bytes | memoryview, kind: str, wanted: str | None, *, name: str | None = None) -> Response:
    """Answer with all of some bytes, or the one range that is asked for (RFC 9110, 14); `name` makes it a download."""
    headers = {"Accept-Ranges": "bytes"}
    if name is not None:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    match = _RANGE.fullmatch(wanted or "")
    if match is None:
        return _send(data, range(len(data)), 200, kind, headers)
    start = int(match[1])
    until = min(int(match[2]) + 1, len(data)) if match[2] else min(start + MOST_AT_ONCE, len(data))
    if not start < until:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {start}-{until - 1}/{len(data)}"
    return _send(data, range(start, until), 206, kind, headers)


def _send(data: bytes | memoryview, span: range, status: int, kind: str, headers: dict[str, str]) -> Response:
    view = memoryview(data)

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(span.start, span.stop, CHUNK):
            yield bytes(view[at : min(at + CHUNK, span.stop)])

    headers = {**headers, "Content-Length": str(len(span))}
    return StreamingResponse(chunks(), status, headers=headers, media_type=kind)
