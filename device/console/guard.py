"""The gate in front of every request: who is asked, from where, and how. Also the headers of every answer.

A browser will send requests to a local port for any site that asks it to, so each is held against these rules, in
this order, before anything else looks at it:

1. Host names this console: localhost or 127.0.0.1 with its port. A name that somebody pointed at 127.0.0.1 (DNS
   rebinding) gets 421.
2. Origin, where it is given, is the console's own. Another port of localhost is another origin.
3. Sec-Fetch-Site, where it is given, is same-origin; `none` or another site may only navigate to the page itself, which
   holds nothing.
4. Only GET and POST; a POST has a JSON body of a stated, bounded length.

Browsers that send neither Origin nor Sec-Fetch-Site are held by the session's token, which no other site can know:
there is no cookie for them to ride on. Pure, but for the middleware around it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 512 * 1024
MAX_TARGET = 4_096
PAGE: Final = "/"
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": (
        "camera=(), microphone=(), geolocation=(), display-capture=(), usb=(), "
        "publickey-credentials-get=(self), publickey-credentials-create=(self)"
    ),
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    message: str


def check(method: str, target: str, headers: Mapping[str, str], *, port: int) -> Refusal | None:
    """Return what stands against a request, or None. Header names are in lower case."""
    names = (f"localhost:{port}", f"127.0.0.1:{port}")
    if headers.get("host", "").lower() not in names:
        return Refusal(421, "this console answers to localhost alone")
    if len(target) > MAX_TARGET:
        return Refusal(414, "this address is too long")
    if method not in {"GET", "POST"}:
        return Refusal(405, "only GET and POST are answered")
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{headers['host'].lower()}":
        return Refusal(403, "another site may not ask this console for anything")
    return _fetched_from(method, target, headers) or (_body(headers) if method == "POST" else None)


def _fetched_from(method: str, target: str, headers: Mapping[str, str]) -> Refusal | None:
    site = headers.get("sec-fetch-site", "same-origin")
    if site == "same-origin":
        return None
    opened = method == "GET" and target == PAGE and headers.get("sec-fetch-mode", "navigate") == "navigate"
    if opened and headers.get("sec-fetch-dest", "document") == "document":
        return None
    return Refusal(403, "another site may not ask this console for anything")


def _body(headers: Mapping[str, str]) -> Refusal | None:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "only application/json is taken")
    length = headers.get("content-length", "")
    if not length.isascii() or not length.isdigit() or "transfer-encoding" in headers:
        return Refusal(411, "say the length of the body")
    if len(length) > len(str(MAX_BODY_BYTES)) or int(length) > MAX_BODY_BYTES:
        return Refusal(413, f"a body has at most {MAX_BODY_BYTES} bytes")
    return None


class Guard:
    """ASGI middleware: nothing that the rules refuse gets in, and nothing gets out without the headers."""

    def __init__(self, app: ASGIApp, *, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let in."""
        if scope["type"] != "http":
            raise RuntimeError(f"the console serves HTTP alone, not {scope['type']}")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        headers = Headers(scope=scope)
        target = scope["path"] + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
        refusal = _doubled(headers) or check(scope["method"], target, headers, port=self._port)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
            return
        answer = JSONResponse({"error": refusal.message}, refusal.status, headers={"Connection": "close"})
        await answer(scope, receive, send_guarded)


def _doubled(headers: Headers) -> Refusal | None:
    once = ("host", "origin", "content-length", "content-type", "authorization", "sec-fetch-site")
    if any(len(headers.getlist(name)) > 1 for name in once):
        return Refusal(400, "a header was sent twice")
    return None
