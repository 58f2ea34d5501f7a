"""How answers go out: tags, compression, conditions, and what caches may do with them. What they say is not known here.

Everything public is the same for everybody, so that a cache between may carry all of it. The tag is of the content,
and one of its own for the compressed form: it is strong.
"""

from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

from starlette.requests import Request
from starlette.responses import Response

from broker.caching import IMMUTABLE, compressed, has_it, tag_of, takes_gzip

PAGE = "public, max-age=15, stale-while-revalidate=120"  # a status changes with time
FEED = "public, max-age=60, stale-while-revalidate=600"
BRIEF = "public, max-age=5"  # what is not there yet may come
_SMALLEST = 600  # bytes that are worth compressing
_OK = 200
_COMMON = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_TEXT = ("text/", "application/json", "application/feed+json", "application/geo+json", "application/atom+xml")


@dataclass(frozen=True, slots=True)
class Content:
    """A body and what is to be said of it. `shared` lets pages of other sites read it; `modified_us` 0 is not told."""

    body: bytes
    media_type: str
    keep: str = PAGE
    status: int = _OK
    modified_us: int = 0
    shared: bool = False
    policy: str = ""


def answer(request: Request, content: Content) -> Response:
    """Return the answer to a GET or HEAD: whole, compressed, or 304 where the asker has it."""
    body, encoding = _encoded(request, content)
    headers = _headers(content, encoding)
    if content.status == _OK and _has_it(request, headers["ETag"], content.modified_us):
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(len(body))
    sent = b"" if request.method == "HEAD" else body
    return Response(sent, content.status, headers=headers, media_type=content.media_type)


def redirect(path: str) -> Response:
    """Return the way to a page's one address."""
    return Response(status_code=302, headers={**_COMMON, "Location": path, "Cache-Control": IMMUTABLE})


def _headers(content: Content, encoding: str) -> dict[str, str]:
    headers = {**_COMMON, "Cache-Control": content.keep, "ETag": tag_of(content.body, encoding=encoding)}
    if _compressible(content):
        headers["Vary"] = "Accept-Encoding"
    if encoding:
        headers["Content-Encoding"] = encoding
    if content.modified_us:
        headers["Last-Modified"] = formatdate(content.modified_us // 1_000_000, usegmt=True)
    if content.shared:
        headers["Access-Control-Allow-Origin"] = "*"
    if content.policy:
        headers["Content-Security-Policy"] = content.policy
    return headers


def _compressible(content: Content) -> bool:
    return len(content.body) >= _SMALLEST and content.media_type.startswith(_TEXT)


def _encoded(request: Request, content: Content) -> tuple[bytes, str]:
    if _compressible(content) and takes_gzip(request.headers.get("accept-encoding")):
        return compressed(content.body), "gzip"
    return content.body, ""


def _has_it(request: Request, tag: str, modified_us: int) -> bool:
    known = request.headers.get("if-none-match")
    if known is not None:
        return has_it(known, tag)
    since = request.headers.get("if-modified-since")
    if since is None or not modified_us:
        return False
    try:
        return modified_us // 1_000_000 <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):  # no date, or one of no year
        return False


__all__ = ["BRIEF", "FEED", "IMMUTABLE", "PAGE", "Content", "answer", "redirect"]
