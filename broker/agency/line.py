"""One HTTP server that is spoken to and not trusted: bounded answers, errors as ours, nothing followed elsewhere."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from broker.wire.encoding import WireError, parse_decimal, parse_json

from .errors import RemoteError, UnreachableError

MAX_ANSWER_BYTES = 2 << 20
CONNECT_S = 10.0
READ_S = 60.0
OK = 200
CREATED = 201
ACCEPTED = 202
PARTIAL = 206
NOT_FOUND = 404
UNAVAILABLE = 503
_MAX_MESSAGE = 500
_MAX_CODE = 64
_MAX_RETRY_S = 3_600


def new_http(*, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Return the HTTP client that a `Line` uses; `transport` stands in for the network in tests."""
    timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
    return httpx.Client(timeout=timeout, transport=transport, follow_redirects=False, trust_env=False)


class Line:
    """A server below one URL. Raises RemoteError; UnreachableError where the same call may succeed later."""

    def __init__(self, url: str, http: httpx.Client | None) -> None:
        self.url = url.rstrip("/")
        self._http = http or new_http()

    def exchange(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> bytes:
        """Return the body of a successful answer of at most `max_bytes`."""
        with self.stream(method, path, content=content, headers=headers) as answer:
            return self._read(answer, max_bytes)

    def json(self, method: str, path: str, **more: Any) -> Any:
        """Return an answer's JSON, parsed strictly; arguments as for `exchange`."""
        data = self.exchange(method, path, **more)
        try:
            return parse_json(data, max_bytes=len(data), what="its answer")
        except WireError as error:
            raise RemoteError(f"{self.url}: {error}") from error

    @contextmanager
    def stream(
        self, method: str, path: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """Give a successful answer whose body is still to be read."""
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        try:
            with self._http.stream(method, f"{self.url}{path}", content=content, headers=sent) as answer:
                if answer.status_code not in {OK, CREATED, ACCEPTED, PARTIAL}:
                    raise self._refusal(answer)
                yield answer
        except httpx.InvalidURL as error:
            raise RemoteError(f"{self.url} is no address: {error}") from error
        except httpx.TransportError as error:
            said = str(error) or type(error).__name__
            raise UnreachableError(f"{self.url} cannot be reached: {said}; try again later") from error

    def _read(self, answer: httpx.Response, max_bytes: int) -> bytes:
        parts = bytearray()
        for piece in answer.iter_raw():
            parts += piece
            if len(parts) > max_bytes:
                raise RemoteError(f"{self.url} answered with more than {max_bytes} bytes")
        return bytes(parts)

    def _refusal(self, answer: httpx.Response) -> RemoteError:
        said = f"{self.url} refused ({answer.status_code})"
        status, after_s = answer.status_code, _seconds(answer.headers.get("retry-after", ""))
        try:
            data = self._read(answer, MAX_ANSWER_BYTES)
            body = parse_json(data, max_bytes=MAX_ANSWER_BYTES)
        except (WireError, RemoteError):
            body = None
        match body:
            case {"error": {"code": str(code), "message": str(text)}}:
                # Somebody else's words on somebody's terminal: printable, and short.
                message = "".join(char for char in text if char.isprintable())[:_MAX_MESSAGE]
                return RemoteError(f"{said}: {message}", code=code[:_MAX_CODE], status=status, retry_after_s=after_s)
        return RemoteError(f"{said} without a reason that can be read", status=status, retry_after_s=after_s)


def _seconds(text: str) -> int | None:
    """Return a Retry-After header's seconds; a date, which it may be too, is not worth a clock here."""
    try:
        return min(parse_decimal(text, what="Retry-After"), _MAX_RETRY_S)
    except WireError:
        return None
