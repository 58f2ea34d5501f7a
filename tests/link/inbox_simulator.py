"""An inbox in memory, spoken to through its real HTTP interface.

Tus as broker.wire.inbox names it. Its fields bend it.
"""

import hashlib
from dataclasses import dataclass, field

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker.wire.encoding import from_base64
from broker.wire.envelopes import public_bytes
from broker.wire.inbox import OFFSET_TYPE, TUS_VERSION
from broker.wire.records import Receipt, Upload

ORIGIN = "https://inbox.example"
URL = f"{ORIGIN}/inbox"


@dataclass
class Stored:
    """One upload."""

    promise: Upload
    data: bytearray = field(default_factory=bytearray)


@dataclass
class Said:
    """One request as it came in."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class InboxSimulator:
    """Stores uploads, and misbehaves on demand."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.sign_with = self.key
        self.uploads: dict[str, Stored] = {}
        self.said: list[Said] = []
        self.cut_at: list[int] = []  # connection breaks when so many bytes have arrived; once each
        self.cut_before_answer: set[str] = set()  # methods whose next answer is lost after the work was done
        self.answers: dict[str, list[Response]] = {}  # by method: given instead of doing the work
        self.location: str | None = None
        self.head_says: int | str | None = None
        self.patch_says: int | str | None = None
        self.receipt_for: dict[str, object] = {}  # fields of the receipt that are not as they should be
        self.receipt_is: bytes | None = None
        self.app = Starlette(
            routes=[
                Route("/inbox", self._create, methods=["POST"]),
                Route("/inbox/{id}", self._upload, methods=["HEAD", "PATCH"]),
                Route("/inbox/{id}/receipt", self._receipt, methods=["GET"]),
            ]
        )

    @property
    def public_key(self) -> bytes:
        """What a device pins."""
        return public_bytes(self.key)

    @property
    def sent(self) -> bytes:
        """All bytes of bundles that ever came, in the order of arrival, kept or not."""
        return b"".join(said.body for said in self.said if said.method == "PATCH")

    def client(self, **more: object) -> httpx.AsyncClient:
        """Return a client whose every request comes here, whatever host it names."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), **more)  # type: ignore[arg-type]

    async def _note(self, request: Request) -> Response | None:
        body = await request.body()
        self.said.append(Said(request.method, str(request.url), dict(request.headers), body))
        if self.answers.get(request.method):
            return self.answers[request.method].pop(0)
        if request.headers.get("Tus-Resumable") != TUS_VERSION:
            return Response(status_code=412)
        return None

    def _lose_answer(self, request: Request) -> None:
        if request.method in self.cut_before_answer:
            self.cut_before_answer.remove(request.method)
            raise httpx.ReadError("cut before the answer")

    async def _create(self, request: Request) -> Response:
        if (answer := await self._note(request)) is not None:
            return answer
        name, _, value = request.headers["Upload-Metadata"].partition(" ")
        assert name == "envelope"
        envelope = from_base64(value)
        promise = Upload.open(envelope, key=Upload.unverified(envelope).key)
        assert int(request.headers["Upload-Length"]) == promise.bundle_bytes
        name = hashlib.sha256(envelope).hexdigest()[:16]
        self.uploads.setdefault(name, Stored(promise))
        self._lose_answer(request)
        return Response(status_code=201, headers={"Location": self.location or f"/inbox/{name}"})

    async def _upload(self, request: Request) -> Response:
        if (answer := await self._note(request)) is not None:
            return answer
        stored = self.uploads.get(request.path_params["id"])
        if stored is None:
            return Response("no such upload", status_code=404)
        if request.method == "HEAD":
            self._lose_answer(request)
            offset = len(stored.data) if self.head_says is None else self.head_says
            return Response(status_code=200, headers={"Upload-Offset": str(offset)})
        if int(request.headers["Upload-Offset"]) != len(stored.data):
            return Response("wrong offset", status_code=409)
        assert request.headers["Content-Type"] == OFFSET_TYPE
        body = await request.body()
        self._store(stored, body)
        self._lose_answer(request)
        offset = len(stored.data) if self.patch_says is None else self.patch_says
        return Response(status_code=204, headers={"Upload-Offset": str(offset)})

    def _store(self, stored: Stored, body: bytes) -> None:
        if self.cut_at and len(stored.data) + len(body) >= self.cut_at[0]:
            stored.data += body[: max(0, self.cut_at.pop(0) - len(stored.data))]
            raise httpx.ReadError("cut in the middle")
        stored.data += body

    async def _receipt(self, request: Request) -> Response:
        if (answer := await self._note(request)) is not None:
            return answer
        stored = self.uploads[request.path_params["id"]]
        whole = hashlib.sha256(stored.data).hexdigest()
        if self.receipt_is is None and whole != stored.promise.bundle_sha256:
            return Response("not all there", status_code=409)
        self._lose_answer(request)
        fields = {
            "request": stored.promise.request,
            "bundle_bytes": stored.promise.bundle_bytes,
            "bundle_sha256": stored.promise.bundle_sha256,
            "received_at": 1_700_000_000_000_000,
            **self.receipt_for,
        }
        receipt = Receipt(**fields).sign(self.sign_with)  # type: ignore[arg-type] # bent on purpose
        return Response(self.receipt_is or receipt)
