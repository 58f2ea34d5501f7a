"""A witness over HTTP.

POST /add-checkpoint   C2SP tlog-witness; statuses as `answer` says, and besides: 408 for a body that takes too
                       long, 413 for one that is too large, 503 while nothing can be kept or signed
GET  /                 JSON: name, key, and of each log its size, when it was last seen, how much evidence
GET  /evidence         JSON: {"evidence": [...]}, both signed notes of each
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from broker.caching import FRESH
from broker.log.errors import LogDamagedError
from broker.wire.cosigning import ADD_CHECKPOINT, MAX_ADD_BYTES, SIZE_TYPE

from .answer import Refusal
from .service import ClockBehindError, Witness

log = structlog.get_logger()

BODY_S = 10.0
RETRY_S = 30
_HANG_UP = {"Connection": "close"}  # else the rest of the body would be read and thrown away, however long
_HEADERS = {"Cache-Control": FRESH, "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*"}

Handler = Callable[[Request], Awaitable[Response]]


def routes(witness: Witness, *, body_s: float = BODY_S) -> list[Route]:
    """Return the routes of a witness."""

    async def decide(body: bytes) -> bytes | Refusal:
        answer = await asyncio.to_thread(witness.add_checkpoint, body)
        return answer if isinstance(answer, Refusal) else answer.line

    return [
        Route(f"/{ADD_CHECKPOINT}", add_checkpoint(decide, body_s=body_s), methods=["POST"]),
        Route("/", json_page(witness.status)),
        Route("/evidence", json_page(lambda: {"evidence": list(witness.evidence())})),
    ]


def add_checkpoint(decide: Callable[[bytes], Awaitable[bytes | Refusal]], *, body_s: float = BODY_S) -> Handler:
    """Return the handler of add-checkpoint; `decide` returns the signature lines, or why there are none."""

    async def add(request: Request) -> Response:
        try:
            body = await _body(request, body_s)
            if body is None:
                return text(f"a body has at most {MAX_ADD_BYTES} bytes", 413, _HANG_UP)
            answer = await decide(body)
        except TimeoutError:
            return text("the body took too long", 408, _HANG_UP)
        except ClientDisconnect:
            return text("the body ended early", 400)
        except (OSError, LogDamagedError, ClockBehindError) as error:
            log.warning("add_checkpoint_failed", error=str(error))
            return text("nothing can be kept or signed now; try again later", 503, {"Retry-After": str(RETRY_S)})
        return refusal(answer) if isinstance(answer, Refusal) else text(answer)

    return add


def json_page(value: Callable[[], Any]) -> Handler:
    """Return the handler of a JSON document that is made anew, off the event loop."""

    async def page(_: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(value), headers=_HEADERS)

    return page


def refusal(why: Refusal) -> Response:
    """Return the answer to what is refused."""
    if why.size is None:
        return text(why.message + "\n", why.status)
    # Set whole: a charset would make another type of it.
    return Response(f"{why.size}\n", why.status, headers={**_HEADERS, "Content-Type": SIZE_TYPE})


def text(body: bytes | str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return plain text that nobody keeps."""
    return Response(body, status, media_type="text/plain; charset=utf-8", headers={**_HEADERS, **(headers or {})})


async def _body(request: Request, within_s: float) -> bytes | None:
    """Read at most one body, whatever the length header says, within a time; None if it is larger."""
    parts: list[bytes] = []
    total = 0
    async with asyncio.timeout(within_s):
        async for part in request.stream():
            total += len(part)
            if total > MAX_ADD_BYTES:
                return None
            parts.append(part)
    return b"".join(parts)
