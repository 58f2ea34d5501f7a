"""Calls around the session: the link, unlocking, locking, passkeys, and the stream that a page keeps open."""

import asyncio
from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import StreamingResponse

from .api import Call, Endpoint, Fields, Nothing
from .cell import Cell, Opens
from .errors import ApiError
from .supervisor import SessionMemory

VERSION = version("latchstring")
Secret = Annotated[str, Field(max_length=200)]


class Link(Fields):
    """The secret of a one-time link."""

    link: Secret


class Passkey(Fields):
    """What a passkey said in a ceremony; `prf` is base64url."""

    ceremony: Secret
    credential: dict[str, Any]
    prf: Annotated[str, Field(max_length=100)]


class Proof(Fields):
    """How somebody shows that they are the owner: one of the two."""

    passphrase: Annotated[str, Field(min_length=1, max_length=1_024)] | None = None
    passkey: Passkey | None = None


class Ceremony(Fields):
    """What a passkey is to be asked for."""

    purpose: Literal["add", "unlock", "approve"]
    draft: Secret | None = None


class NewPasskey(Fields):
    """A passkey to be added, and the passphrase under which the key is opened for it."""

    ceremony: Secret
    name: Annotated[str, Field(min_length=1, max_length=60)]
    credential: dict[str, Any]
    prf: Annotated[str, Field(max_length=100)] | None = None
    passphrase: Annotated[str, Field(min_length=1, max_length=1_024)]


class PasskeyId(Fields):
    """Which passkey."""

    id: Annotated[str, Field(max_length=1_500)]


def opens_by(cell: Cell, proof: Proof, *, purpose: Literal["unlock", "approve"], binding: bytes = b"") -> Opens:
    """Return what opens the owner's key by the passphrase or passkey that was given; raises ApiError."""
    if (proof.passphrase is None) == (proof.passkey is None):
        raise ApiError(400, "give the passphrase or a passkey")
    if proof.passphrase is not None:
        return cell.by_passphrase(proof.passphrase)
    given = proof.passkey
    assert given is not None  # noqa: S101 - one of the two is
    return lambda: cell.passkeys.open(given.ceremony, given.credential, given.prf, purpose=purpose, binding=binding)


def session_endpoints(memory: SessionMemory, address: str) -> list[Endpoint]:
    """Return the calls; `address` is the console's own, to which links lead."""

    async def session(call: Call) -> dict[str, Any]:
        token = memory.sessions.open(call.fields.link, call.cell.random, call.cell.now_us())
        memory.keep()
        return {"token": token}

    async def link(call: Call) -> dict[str, Any]:
        secret = memory.sessions.make_link(call.cell.random, call.cell.now_us())
        memory.keep()
        return {"url": f"{address}#open={secret}"}

    return [
        Endpoint("POST", "/session", Link, session, locked=True, link=True),
        Endpoint("POST", "/link", Nothing, link, locked=True),
        Endpoint("GET", "/state", Nothing, _state, locked=True),
        Endpoint("POST", "/awake", Nothing, _awake),
        Endpoint("POST", "/unlock", Proof, _unlock, locked=True, secret=True),
        Endpoint("POST", "/lock", Nothing, _lock, locked=True),
        Endpoint("GET", "/stream", Nothing, _stream, locked=True),
        Endpoint("POST", "/passkeys/options", Ceremony, _ceremony, locked=True),
        Endpoint("POST", "/passkeys/add", NewPasskey, _add_passkey, secret=True),
        Endpoint("POST", "/passkeys/remove", PasskeyId, _remove_passkey),
    ]


async def _state(call: Call) -> dict[str, Any]:
    cell = call.cell
    return {
        "locked": cell.is_locked,
        "lock_in_s": cell.lock_in_s(),
        "wait_s": cell.wait_s(),
        "passkeys": await asyncio.to_thread(lambda: _passkeys(cell)),
        "passkeys_problem": await asyncio.to_thread(cell.passkeys.problem),
        "devices": [{"device": one.name, "kind": one.settings.device.kind} for one in cell.household.devices],
        "version": VERSION,
    }


async def _awake(_: Call) -> dict[str, Any]:
    return {}


async def _unlock(call: Call) -> dict[str, Any]:
    await call.cell.unlock(opens_by(call.cell, call.fields, purpose="unlock"))
    return {}


async def _lock(call: Call) -> dict[str, Any]:
    call.cell.lock()
    return {}


async def _stream(call: Call) -> StreamingResponse:
    cell = call.cell
    first = {"kind": "state", "locked": cell.is_locked}
    return StreamingResponse(cell.hub.lines(first), media_type="application/x-ndjson")


async def _ceremony(call: Call) -> dict[str, Any]:
    cell, fields = call.cell, call.fields
    if fields.purpose != "unlock":
        _ = cell.unlocked
    binding = b""
    if fields.purpose == "approve":
        made = cell.unlocked.drafts.find(fields.draft or "").made
        if made is None:
            raise ApiError(409, "there is nothing ready to approve; look at what they would get first")
        binding = approval_binding(fields.draft or "", made.bundle.sha256)
    options, ceremony = await asyncio.to_thread(lambda: cell.passkeys.options(fields.purpose, binding=binding))
    return {"options": options, "ceremony": ceremony}


def approval_binding(draft: str, sha256: str) -> bytes:
    """Return what a passkey's word for an approval is bound to: the very bundle of this draft."""
    return f"{draft}:{sha256}".encode()


async def _add_passkey(call: Call) -> dict[str, Any]:
    cell, fields = call.cell, call.fields
    owner = await cell.open_owner(cell.by_passphrase(fields.passphrase))
    await asyncio.to_thread(
        lambda: cell.passkeys.add(fields.ceremony, fields.credential, fields.prf, name=fields.name, owner=owner)
    )
    return {"passkeys": await asyncio.to_thread(lambda: _passkeys(cell))}


async def _remove_passkey(call: Call) -> dict[str, Any]:
    await asyncio.to_thread(lambda: call.cell.passkeys.remove(call.fields.id))
    return {"passkeys": await asyncio.to_thread(lambda: _passkeys(call.cell))}


def _passkeys(cell: Cell) -> list[dict[str, Any]]:
    return [{"id": one.id, "name": one.name, "created_us": one.created_us} for one in cell.passkeys.listed()]
