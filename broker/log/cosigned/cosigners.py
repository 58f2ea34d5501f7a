"""One cosigner, asked over HTTP: C2SP tlog-witness, and for a mirror its served checkpoint. It is never believed.

The exchange with a witness:

    POST add-checkpoint (old size, proof, head) -> 200 its cosignature
                                                -> 409 the size that it knows: asked once more from there

A mirror answers without a cosignature, fetches what it lacks, and serves the checkpoint with it: that is fetched until
it is there. Answers are bounded in size and time, and followed nowhere else.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from broker.log.storage.folder import CHECKPOINT_PATH
from broker.wire.cosigning import ADD_CHECKPOINT, SIZE_TYPE, AddCheckpoint, Kind, add_lines, mirror_prefix
from broker.wire.encoding import WireError, parse_decimal
from broker.wire.notes import MAX_NOTE_BYTES, Checkpoint, Note, Signature, cosignature_by, parse_checkpoint, parse_note
from broker.wire.proofs import Cosigner

from .panel import CosignTiming

_LAST_PORT = 65_535
_CONFLICTS = 2  # a second one only if somebody else showed it a newer head meanwhile

Prove = Callable[[int], Awaitable[list[bytes]]]


@dataclass(frozen=True, slots=True)
class Head:
    """A head to be cosigned. `prove(old_size)` gives the proof that it only added to the tree of that size."""

    note: Note
    checkpoint: Checkpoint
    prove: Prove


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A cosignature that verifies, and its POSIX time."""

    checkpoint: Checkpoint
    signature: Signature
    at_s: int


class CosignerError(Exception):
    """A cosigner gave nothing that could be used; the message says what it did instead."""


class CosignerClient:
    """Asks one cosigner, one question at a time. `size` is the tree that it is thought to know."""

    def __init__(self, kind: Kind, cosigner: Cosigner, *, http: httpx.AsyncClient, timing: CosignTiming) -> None:
        self._kind = kind
        self._cosigner = cosigner
        self._http = http
        self._timing = timing
        self.size = 0

    async def cosign(self, head: Head) -> Cosigned:
        """Have a head cosigned; raises CosignerError, in bounded time."""
        try:
            if (httpx.URL(self._url).port or 0) > _LAST_PORT:
                raise httpx.InvalidURL("there is no such port")  # noqa: TRY301 - as for every other address that is none
            async with asyncio.timeout(self._timing.ask_s):
                lines = await self._submit(head)
                return _taken(head, lines, self._cosigner) if self._kind == "witness" else await self._served(head)
        except TimeoutError as error:
            raise CosignerError(f"it did not answer within {self._timing.ask_s:g} s") from error
        except WireError as error:
            raise CosignerError(f"its answer can't be used: {error}") from error
        except httpx.InvalidURL as error:
            raise CosignerError(f"its address is none: {error}") from error
        except httpx.HTTPError as error:
            raise CosignerError(f"it can't be reached: {str(error) or type(error).__name__}") from error

    async def _submit(self, head: Head) -> bytes:
        """Show it the head; returns what it answered, once it took it."""
        for _ in range(1 + _CONFLICTS):
            if self.size > head.checkpoint.size:
                seen, self.size = self.size, 0
                raise CosignerError(f"it knows {seen} entries of this log, which has {head.checkpoint.size}")
            proof = tuple(await head.prove(self.size))
            body = AddCheckpoint(self.size, proof, str(head.note).encode()).encode()
            status, kind, answer = await self._exchange("POST", f"{self._url}/{ADD_CHECKPOINT}", content=body)
            if status == httpx.codes.OK:
                self.size = head.checkpoint.size
                return answer
            if status != httpx.codes.CONFLICT:
                raise CosignerError(f"it answers {status}")
            known = _size(kind, answer)
            if known is None or known == self.size:
                raise CosignerError(f"it finds another tree of size {self.size}, or refuses it without a reason")
            self.size = known
        raise CosignerError("it names another size each time that it is asked")

    async def _served(self, head: Head) -> Cosigned:
        """Read a mirror's own checkpoint until it is of the head's size."""
        url = f"{mirror_prefix(self._url, head.checkpoint.origin)}/{CHECKPOINT_PATH}"
        while True:
            status, _, answer = await self._exchange("GET", url)
            if status == httpx.codes.OK:
                note = parse_note(answer, what="the checkpoint that it serves")
                served = parse_checkpoint(note.text)
                if served.origin == head.checkpoint.origin and served.size >= head.checkpoint.size:
                    return _signed(head, note, self._cosigner)
            elif status not in {httpx.codes.NOT_FOUND, httpx.codes.SERVICE_UNAVAILABLE}:  # it serves nothing yet
                raise CosignerError(f"it serves no checkpoint, and answers {status}")
            await asyncio.sleep(self._timing.poll_s)

    @property
    def _url(self) -> str:
        return self._cosigner.url.rstrip("/")

    async def _exchange(self, method: str, url: str, **more: Any) -> tuple[int, str, bytes]:
        """Return status, media type and body, which must not be larger than a note."""
        answer = b""
        headers = {"Accept-Encoding": "identity"}
        more["timeout"] = self._timing.ask_s  # of each step; `cosign` bounds them all together
        async with self._http.stream(method, url, headers=headers, follow_redirects=False, **more) as response:
            async for part in response.aiter_raw():
                answer += part
                if len(answer) > MAX_NOTE_BYTES:
                    raise CosignerError(f"it answers more than {MAX_NOTE_BYTES} bytes")
            return response.status_code, response.headers.get("Content-Type", ""), answer


def learnt(note: Note, cosigner: Cosigner) -> Cosigned | None:
    """Return a cosigner's cosignature of a note; raises WireError where one under its name is false."""
    found = cosignature_by(note, cosigner.key)
    return None if found is None else Cosigned(parse_checkpoint(note.text), *found)


def _taken(head: Head, lines: bytes, cosigner: Cosigner) -> Cosigned:
    return _signed(head, add_lines(str(head.note).encode(), lines), cosigner)


def _signed(head: Head, note: Note, cosigner: Cosigner) -> Cosigned:
    if note.text != head.note.text:
        raise CosignerError("it signs another tree than the one that it was shown")
    cosigned = learnt(note, cosigner)
    if cosigned is None:
        raise CosignerError(f"it did not sign as {cosigner.key.name}")
    return cosigned


def _size(kind: str, answer: bytes) -> int | None:
    """Return the size in a conflict, None where there is none that can be read."""
    if kind.partition(";")[0].strip().lower() != SIZE_TYPE:
        return None
    text = answer.decode("utf-8", "replace")
    return parse_decimal(text.removesuffix("\n"), what="size") if text.endswith("\n") else None
