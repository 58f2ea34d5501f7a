"""The inbox over HTTP: the routes of broker.wire.inbox. Streams bodies; the disk's work is done in threads.

Nothing here looks at, keeps or logs where a request came from. Run uvicorn with `access_log=False`, which would.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from broker.wire.encoding import to_base64
from broker.wire.inbox import AUTH_SCHEME, MAX_NOTICE_BYTES, TUS_VERSION

from . import headers
from .errors import InboxError, Refused
from .inbox import Inbox
from .storage import Stored, read_file
from .writer import Writer

log = structlog.get_logger()

EXTENSIONS = "creation,checksum"
WRITE_BYTES = 1 << 20  # so many bytes a trip to the thread that writes
COMMIT_BYTES = 16 << 20  # so many bytes at the most are lost when the server dies within a body
NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(inbox: Inbox, prefix: str = "/inbox") -> list[Route]:
    """Return the inbox's routes below `prefix`."""
    served = _Served(inbox, prefix)
    upload = f"{prefix}/uploads/{{id}}"
    return [
        Route(prefix, _tus(served.create), methods=["POST", "OPTIONS"]),
        Route(upload, _tus(served.upload), methods=["HEAD", "PATCH", "POST", "OPTIONS"]),
        Route(f"{upload}/receipt", _answered(served.receipt), methods=["GET"]),
        Route(f"{prefix}/deletions", _answered(served.ask_deletion), methods=["POST"]),
        Route(f"{prefix}/requests/{{leaf}}", _answered(served.bundles), methods=["GET"]),
        Route(f"{prefix}/requests/{{leaf}}/deletions", _answered(served.deletions), methods=["GET"]),
        Route(f"{prefix}/bundles/{{id}}", _answered(served.bundle), methods=["GET"]),
    ]


class _Served:
    """One handler a resource; each may raise Refused, which `_answered` turns into JSON."""

    def __init__(self, inbox: Inbox, prefix: str) -> None:
        self._inbox = inbox
        self._prefix = prefix

    async def create(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return self._options()
        headers.check_version(request.headers.get("tus-resumable"))
        if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
            raise Refused(400, "unexpected-body", "a creation carries no bytes; send them with PATCH")
        length = headers.parse_count(request.headers.get("upload-length"), name="Upload-Length")
        if length > self._inbox.limits.max_bundle_bytes:
            raise Refused(413, "too-large", f"a bundle may have {self._inbox.limits.max_bundle_bytes} bytes")
        envelope = headers.parse_metadata(request.headers.get("upload-metadata"))
        stored = await run_in_threadpool(self._inbox.create, envelope, length)
        return Response(status_code=201, headers={"Location": f"{self._prefix}/uploads/{stored.id}"})

    async def upload(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return self._options()
        headers.check_version(request.headers.get("tus-resumable"))
        method = request.method
        if method == "POST":  # tus core: X-HTTP-Method-Override is for networks that know no PATCH
            method = request.headers.get("x-http-method-override", "")
        if method == "HEAD":
            stored = self._inbox.find(request.path_params["id"])
            return Response(headers={**_progress(stored), **NO_STORE})
        if method == "PATCH":
            return await self._patch(request)
        raise Refused(405, "no-such-method", "an upload answers HEAD and PATCH")

    async def receipt(self, request: Request) -> Response:
        data = await run_in_threadpool(self._inbox.receipt, request.path_params["id"])
        return Response(data, media_type="application/json", headers=NO_STORE)

    async def ask_deletion(self, request: Request) -> Response:
        notice = bytearray()
        try:
            async for piece in _with_idle_limit(request, self._inbox.limits.idle_s):
                notice += piece
                if len(notice) > MAX_NOTICE_BYTES:
                    raise Refused(413, "too-large", f"a notice has {MAX_NOTICE_BYTES} bytes at the most")
        except TimeoutError as error:
            raise Refused(408, "too-slow", "the notice did not come; send it again") from error
        receipt = await run_in_threadpool(self._inbox.deletions.take, bytes(notice))
        return Response(receipt, media_type="application/json", headers=NO_STORE)

    async def deletions(self, request: Request) -> Response:
        claim = headers.parse_authorization(request.headers.get("authorization"))
        leaf = self._inbox.authorize(claim, leaf=request.path_params["leaf"])
        found = [to_base64(notice) for notice in self._inbox.deletions.of_request(leaf)]
        return JSONResponse({"deletions": found}, headers=NO_STORE)

    async def bundles(self, request: Request) -> Response:
        claim = headers.parse_authorization(request.headers.get("authorization"))
        leaf = self._inbox.authorize(claim, leaf=request.path_params["leaf"])
        found = [{"id": one.id, "bytes": one.bytes, "sha256": one.sha256} for one in self._inbox.bundles(leaf)]
        return JSONResponse({"bundles": found}, headers=NO_STORE)

    async def bundle(self, request: Request) -> Response:
        leaf = self._inbox.authorize(headers.parse_authorization(request.headers.get("authorization")))
        bundle = self._inbox.bundle(request.path_params["id"], leaf=leaf)
        etag = f'"{bundle.sha256}"'
        wanted = request.headers.get("range")
        if request.headers.get("if-range", etag) != etag:
            wanted = None
        try:
            part = headers.parse_range(wanted, size=bundle.bytes)
        except Refused as refused:
            return _error(refused, {"Content-Range": f"bytes */{bundle.bytes}"})
        start, end = part or (0, bundle.bytes)
        more = {"Content-Range": f"bytes {start}-{end - 1}/{bundle.bytes}"} if part else {}
        return StreamingResponse(
            read_file(bundle.path, start, end),
            status_code=206 if part else 200,
            media_type="application/octet-stream",
            headers={**NO_STORE, **more, "Accept-Ranges": "bytes", "ETag": etag, "Content-Length": str(end - start)},
        )

    async def _patch(self, request: Request) -> Response:
        headers.check_offset_type(request.headers.get("content-type"))
        offset = headers.parse_count(request.headers.get("upload-offset"), name="Upload-Offset")
        checksum = headers.parse_checksum(request.headers.get("upload-checksum"))
        upload_id = request.path_params["id"]
        with self._inbox.writer(upload_id, offset) as writer:
            announced = request.headers.get("content-length")
            if announced is not None and headers.parse_count(announced, name="Content-Length") > writer.room:
                raise Refused(413, "too-many-bytes", f"only {writer.room} bytes are missing")
            cut = await self._take_body(request, writer, checksum)
            # A sender that went away gets no answer, but all that it sent of a body without checksum counts.
            await run_in_threadpool(writer.commit)
            if not cut:
                await run_in_threadpool(self._inbox.finish, upload_id)
        return Response(status_code=204, headers=_progress(self._inbox.find(upload_id)))

    async def _take_body(self, request: Request, writer: Writer, checksum: headers.Checksum | None) -> bool:
        """Append the body; tells whether it was cut short."""
        cut = False
        held = bytearray()
        room = writer.room
        unsaved = 0
        try:
            async for piece in _with_idle_limit(request, self._inbox.limits.idle_s):
                room -= len(piece)
                if room < 0:
                    await run_in_threadpool(writer.roll_back)
                    raise Refused(413, "too-many-bytes", "the body has more bytes than are missing")
                if checksum is not None:
                    checksum.update(piece)
                held += piece
                if len(held) >= WRITE_BYTES:
                    await run_in_threadpool(writer.append, bytes(held))
                    held.clear()
                    unsaved += WRITE_BYTES
                if unsaved >= COMMIT_BYTES and checksum is None:
                    await run_in_threadpool(writer.commit)
                    unsaved = 0
        except (ClientDisconnect, TimeoutError):
            cut = True
        if held:
            await run_in_threadpool(writer.append, bytes(held))
        if checksum is not None and (cut or not checksum.matches()):
            await run_in_threadpool(writer.roll_back)
            raise Refused(460, "checksum-mismatch", "the body does not match its Upload-Checksum and was discarded")
        return cut

    def _options(self) -> Response:
        return Response(
            status_code=204,
            headers={
                "Tus-Version": TUS_VERSION,
                "Tus-Max-Size": str(self._inbox.limits.max_bundle_bytes),
                "Tus-Extension": EXTENSIONS,
                "Tus-Checksum-Algorithm": ",".join(headers.CHECKSUMS),
            },
        )


def _tus(endpoint: Endpoint) -> Endpoint:
    """Wrap a handler of the upload side: errors as JSON, and the protocol's version on every answer."""
    answered = _answered(endpoint)

    async def answer(request: Request) -> Response:
        response = await answered(request)
        response.headers["Tus-Resumable"] = TUS_VERSION
        if response.status_code == 412:  # noqa: PLR2004 - tus core: a refused version is told which there are
            response.headers["Tus-Version"] = TUS_VERSION
        return response

    return answer


def _answered(endpoint: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refused:
            return _error(refused, {})
        except InboxError as error:
            log.error("inbox-failed", error=str(error))  # noqa: TRY400 - the message names the file; a trace adds nothing
            return _error(Refused(500, "inbox-failed", "the inbox failed; try again later"), {})

    return answer


def _error(refused: Refused, more: dict[str, str]) -> Response:
    body = {"error": {"code": refused.code, "message": refused.message}}
    extra = {"WWW-Authenticate": AUTH_SCHEME} if refused.status == 401 else {}  # noqa: PLR2004 - HTTP wants the scheme
    return JSONResponse(body, status_code=refused.status, headers={**NO_STORE, **extra, **more})


def _progress(stored: Stored) -> dict[str, str]:
    return {"Upload-Offset": str(stored.offset), "Upload-Length": str(stored.length)}


async def _with_idle_limit(request: Request, idle_s: float) -> AsyncIterator[bytes]:
    """Yield the body; TimeoutError when nothing comes for `idle_s`: a sender that vanished must not hold the upload."""
    pieces = request.stream()
    while True:
        async with asyncio.timeout(idle_s):
            piece = await anext(pieces, None)
        if piece is None:
            return
        yield piece
