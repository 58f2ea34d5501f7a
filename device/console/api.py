"""How a request becomes a call: the session's token, a body of known fields, an answer or one line of why not.

What each call does stands in the `api_…` modules; this one knows none of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from broker.wire.encoding import WireError, parse_json
from broker.wire.records import explain
from device.consent.errors import ConsentError
from device.control import ControlError
from device.settings import SettingsError
from device.vault.errors import VaultError
from device.video.errors import VideoError

from .cell import Cell
from .errors import ApiError, DroppedError
from .guard import MAX_BODY_BYTES
from .household import NoDeviceError
from .passkeys import PasskeyError
from .sessions import LinkError

log = structlog.get_logger()

BODY_S = 10.0
TOO_SLOW = 408
UNATTENDED = "x-unattended"  # the page asked by itself: nobody need be there
# What the world or the user has to mend; the message is for a person.
_STATUS: Mapping[type[Exception], int] = {
    LinkError: 403,
    NoDeviceError: 404,
    ConsentError: 409,
    ControlError: 502,
    DroppedError: 409,
    PasskeyError: 409,
    SettingsError: 500,
    VaultError: 500,
    VideoError: 500,
    WireError: 400,
}
_USERS = tuple(_STATUS)


class Fields(BaseModel):
    """The fields of one call: all of them named here, of these types exactly."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Nothing(Fields):
    """A call without fields."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the cell, its fields, and the parts of its path."""

    cell: Cell
    fields: Any
    path: Mapping[str, str]


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call that can be made. `locked`: also while locked. `link`: without a token, it is what gives one.

    `secret`: a passphrase comes with it.
    """

    method: str
    path: str
    fields: type[Fields]
    handler: Handler
    locked: bool = False
    link: bool = False
    secret: bool = False


def route(endpoint: Endpoint, cell: Cell, known: Callable[[str], bool]) -> Route:
    """Return the route of an endpoint; `known` tells whether a token is a session's."""

    async def serve(request: Request) -> Response:
        try:
            return await _answer(endpoint, cell, known, request)
        except ApiError as error:
            ends = {"Connection": "close"} if error.status == TOO_SLOW else None
            return JSONResponse({"error": error.message, **error.more}, error.status, headers=ends)
        except _USERS as error:
            status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
            return JSONResponse({"error": str(error)}, status)

    return Route(f"/api{endpoint.path}", serve, methods=[endpoint.method])


async def _answer(endpoint: Endpoint, cell: Cell, known: Callable[[str], bool], request: Request) -> Response:
    if endpoint.secret:
        cell.shown()
    if not endpoint.link:
        require_token(request, known)
    if not endpoint.locked:
        _ = cell.unlocked  # raises where it is locked
    if UNATTENDED not in request.headers:
        cell.used()
    fields = await _fields(endpoint, request)
    result = await endpoint.handler(Call(cell, fields, request.path_params))
    return result if isinstance(result, Response) else JSONResponse(result)


def require_token(request: Request, known: Callable[[str], bool]) -> None:
    """Raise ApiError (401) unless the Authorization header holds a session's token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not known(token):
        raise ApiError(401, "this page is not (any more) signed in; open it by its link")


async def _fields(endpoint: Endpoint, request: Request) -> Fields:
    if endpoint.method == "GET":
        return _checked(endpoint.fields, _query(request), strict=False)
    try:
        async with asyncio.timeout(BODY_S):
            data = await request.body()
    except (TimeoutError, ClientDisconnect) as error:
        raise ApiError(TOO_SLOW, "the body did not come") from error
    if len(data) > MAX_BODY_BYTES:
        raise ApiError(413, "the body is too large")
    body = parse_json(data, max_bytes=MAX_BODY_BYTES, what="the body")
    if not isinstance(body, dict):
        raise ApiError(400, "the body must be an object")
    return _checked(endpoint.fields, body, strict=True)


def _query(request: Request) -> dict[str, str]:
    found = request.query_params.multi_items()
    if len(dict(found)) != len(found):
        raise ApiError(400, "a parameter stands in the address twice")
    return dict(found)


def _checked(kind: type[Fields], values: Mapping[str, Any], *, strict: bool) -> Fields:
    try:
        return kind.model_validate(values, strict=strict)
    except ValidationError as error:
        raise ApiError(400, explain(error)) from error
