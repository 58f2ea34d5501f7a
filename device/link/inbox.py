"""The inbox over HTTP: one request at a time, one origin, nothing said that need not be. For `upload` and `deletion`.

Requests are built here from nothing, so that no cookie, default header, credential or base address of the client gets
in. Redirects are answers, not directions. Answers are read up to a cap.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from broker.wire.encoding import WireError, parse_decimal, parse_json, to_base64
from broker.wire.inbox import ENVELOPE_KEY, INBOX_URL_FORM, OFFSET_TYPE, TUS_VERSION, UNKNOWN_BUNDLE

from .errors import UploadRefused
from .settings import MAX_PORT

MAX_ANSWER_BYTES = 65_536
MAX_LOCATION_CHARS = 2_048
MAX_LINE_CHARS = 200
# Time-out, conflict, locked, too early, too many requests; 460 is tus for bytes that were damaged on the way.
FOR_NOW = frozenset({408, 409, 423, 425, 429, 460})


class Again(Exception):  # noqa: N818 - a signal within this room: try again
    """This exchange did not get through; another may."""


class Vanished(Again):
    """The inbox does not know this upload any more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's status, headers and capped body."""

    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class _Error:
    """An error as the inbox tells it."""

    code: str
    message: str


def inbox_address(text: str) -> httpx.URL:
    """Return an inbox's address; raises UploadRefused for what can't be one, and shows no password in it."""
    try:
        url = httpx.URL(text)
        # Twice, by two readers of addresses: what they would read differently is no address.
        plain = url.host and not (url.userinfo or url.query or url.fragment) and 0 < (url.port or 80) <= MAX_PORT
        good = re.fullmatch(INBOX_URL_FORM, text) and plain
    except httpx.InvalidURL:
        good = None
    if not good:
        shown = text.rpartition("@")[2].partition("?")[0][:MAX_LINE_CHARS]
        raise UploadRefused(f"{shown!r} is no inbox address: https://host/path, without user, query or fragment")
    return url


class Inbox:
    """One inbox. Raises UploadRefused for a final no and for broken contract, Again for what may pass."""

    def __init__(self, url: httpx.URL, *, client: httpx.AsyncClient, timeout_s: float) -> None:
        """`url` is what `inbox_address` returned."""
        self._url = url
        self._client = client
        self._timeout = httpx.Timeout(timeout_s).as_dict()

    async def create(self, envelope: bytes, *, size: int) -> httpx.URL:
        """Announce an upload, or find it again: the same envelope leads to the same place. Returns its URL."""
        answer = await self._ask(
            "POST",
            self._url,
            {"Upload-Length": str(size), "Upload-Metadata": f"{ENVELOPE_KEY} {to_base64(envelope)}"},
        )
        _expect(answer, 201, "to announce the upload")
        return self._place(answer.headers.get("Location", ""))

    async def offset(self, place: httpx.URL, *, size: int) -> int:
        """Return how many bytes have arrived."""
        answer = await self._ask("HEAD", place, {})
        if answer.status == 204:  # noqa: PLR2004 - tus says 200 or 204
            return _offset(answer, size)
        _expect(answer, 200, "to say how much has arrived")
        return _offset(answer, size)

    async def append(self, place: httpx.URL, data: bytes, *, offset: int, size: int) -> int:
        """Send the bytes that follow `offset`; returns the new offset."""
        answer = await self._ask(
            "PATCH", place, {"Upload-Offset": str(offset), "Content-Type": OFFSET_TYPE}, content=data
        )
        _expect(answer, 204, "to take bytes")
        arrived = _offset(answer, size)
        if not offset <= arrived <= offset + len(data):
            raise UploadRefused(f"the inbox says {arrived} bytes after {offset} and {len(data)} more")
        if arrived == offset:
            raise Again("the inbox took none of the bytes")
        return arrived

    async def receipt(self, place: httpx.URL) -> bytes:
        """Return the receipt envelope, unverified."""
        answer = await self._ask("GET", place.copy_with(path=place.path.rstrip("/") + "/receipt"), {})
        _expect(answer, 200, "to give the receipt")
        return answer.body

    async def ask_deletion(self, notice: bytes) -> bytes:
        """Give a notice that asks for a bundle's deletion; returns the receipt envelope for it, unverified."""
        place = self._url.copy_with(path=self._url.path.rstrip("/") + "/deletions")
        try:
            answer = await self._ask("POST", place, {"Content-Type": "application/json"}, content=notice)
        except UploadRefused as error:  # the answer is too long to be an inbox's: something in between says nothing
            raise Again(str(error)) from error
        said = _said(answer.body)
        if said is not None and said.code == UNKNOWN_BUNDLE:
            raise UploadRefused(f"the inbox says: {_first_line(said.message)}", status=answer.status)
        _expect(answer, 200, "to take a notice")
        return answer.body

    async def _ask(self, method: str, url: httpx.URL, headers: Mapping[str, str], *, content: bytes = b"") -> Answer:
        general = {"Tus-Resumable": TUS_VERSION, "User-Agent": "latchstring", "Accept-Encoding": "identity"}
        request = httpx.Request(
            method, url, headers={**general, **headers}, content=content, extensions={"timeout": self._timeout}
        )
        try:
            response = await self._client.send(request, stream=True, follow_redirects=False, auth=None)
            try:
                return Answer(response.status_code, response.headers, await _body(response))
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise Again(f"{method}: {type(error).__name__} {error}".rstrip()) from error

    def _place(self, location: str) -> httpx.URL:
        if not location or len(location) > MAX_LOCATION_CHARS:
            raise UploadRefused("the inbox gave no usable Location for the upload")
        try:
            place = self._url.join(location)
        except httpx.InvalidURL as error:
            raise UploadRefused(f"the inbox gave a Location that is no URL: {error}") from error
        if _origin(place) != _origin(self._url) or place.userinfo or place.query or place.fragment:
            raise UploadRefused(
                f"the inbox at {_shown(self._url)} points to {_shown(place)}; only its own origin gets bytes"
            )
        return place


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _shown(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"[:MAX_LINE_CHARS]


async def _body(response: httpx.Response) -> bytes:
    parts = []
    size = 0
    async for part in response.aiter_raw():
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise UploadRefused(
                f"the inbox answered with more than {MAX_ANSWER_BYTES} bytes", status=response.status_code
            )
    return b"".join(parts)


def _offset(answer: Answer, size: int) -> int:
    try:
        offset = parse_decimal(answer.headers.get("Upload-Offset", ""), what="Upload-Offset")
    except WireError as error:
        raise UploadRefused(f"the inbox answers strangely: {error}", status=answer.status) from error
    if offset > size:
        raise UploadRefused(f"the inbox says that {offset} of {size} bytes have arrived", status=answer.status)
    return offset


def _expect(answer: Answer, status: int, what: str) -> None:
    if answer.status == status:
        return
    said = _said(answer.body)
    line = _first_line(said.message if said is not None else answer.body.decode("utf-8", "replace"))
    told = f"the inbox would not do what was asked ({what}): {answer.status}{': ' if line else ''}{line}"
    if answer.status in (404, 410):
        raise Vanished(told)
    # Only the inbox itself, in its own form, says no for good: a captive portal or a proxy in between may say anything.
    if said is None or answer.status in FOR_NOW or answer.status >= 500:  # noqa: PLR2004 - server errors
        raise Again(told)
    raise UploadRefused(told, status=answer.status)


def _said(body: bytes) -> _Error | None:
    """Return an error in the inbox's own form, None if it is something else."""
    try:
        error = parse_json(body, max_bytes=MAX_ANSWER_BYTES)["error"]
        return _Error(error["code"], str(error["message"])) if isinstance(error["code"], str) else None
    except (WireError, LookupError, TypeError):
        return None


def _first_line(text: str) -> str:
    line = next(iter(text.strip().splitlines()), "")
    return "".join(char for char in line if char.isprintable())[:MAX_LINE_CHARS]
