"""The feed's routes. Every page works without script; the policy forbids any, and anything from elsewhere."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker.log.service import LogService
from broker.wire.encoding import WireError, parse_decimal, to_base64

from .jsonfeed import MEDIA_TYPE, json_feed
from .views import page_of, rules_text, view_agency, view_request

TITLE = "Asked in public"
CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_LEAF_FORM = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, but asked for again: a status changes with time
}

_Handler = Callable[[Request], Awaitable[Response]]


def routes(service: LogService) -> list[Route]:
    """Return the feed's routes.

    GET /                          requests, newest first; `?before=<index>` for older ones
    GET /requests/<leaf>           one request; `/requests/<leaf>.dsse.json` is its envelope, byte for byte
    GET /agencies/<id>             an agency and all it asked
    GET /feed.json                 JSON Feed 1.1
    GET /style.css
    """
    feed = _Feed(service)
    return [
        Route("/", feed.index),
        Route("/feed.json", feed.json),
        Route("/style.css", feed.style),
        Route("/requests/{leaf}.dsse.json", feed.envelope),
        Route("/requests/{leaf}", feed.request),
        Route("/agencies/{agency}", feed.agency),
    ]


class _Feed:
    def __init__(self, service: LogService) -> None:
        self._service = service
        self._pages = Environment(
            loader=PackageLoader("broker.feed"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._style = files("broker.feed").joinpath("static", "style.css").read_bytes()

    async def index(self, request: Request) -> Response:
        before = _before(request)
        book, now_us = self._service.book, self._service.now_us()
        page = page_of(book, book.requests(), before=before, now_us=now_us)
        rules = rules_text(self._service.limits)
        return self._html(request, "index.html", page=page, before=before, count=book.request_count(), rules=rules)

    async def request(self, request: Request) -> Response:
        posted = self._service.book.request(request.path_params["leaf"])
        if posted is None:
            return self._missing(request, "No request has this hash in the log.")
        view = view_request(self._service.book, posted, now_us=self._service.now_us())
        verifier, operator_key = str(self._service.log.verifier), to_base64(self._service.operator_key)
        url = self._url(request)
        return self._html(request, "request.html", view=view, url=url, verifier=verifier, operator_key=operator_key)

    async def envelope(self, request: Request) -> Response:
        leaf = request.path_params["leaf"]
        index = self._service.book.index_of(leaf) if _LEAF_FORM.fullmatch(leaf) else None
        if index is None:
            return self._missing(request, "No entry has this hash in the log.")
        data, _ = await self._service.log.logged(index)
        return _answer(request, data, "application/json")

    async def agency(self, request: Request) -> Response:
        book, now_us = self._service.book, self._service.now_us()
        admitted = book.agency(request.path_params["agency"])
        if admitted is None:
            return self._missing(request, "The log admits no agency of this name.")
        name = admitted.agency.agency
        before = _before(request)
        page = page_of(book, book.requests_by(name), before=before, now_us=now_us)
        refused = sum(count for (agency, _), count in self._service.refusals.items() if agency == name)
        view = view_agency(book, admitted, refused=refused, now_us=now_us)
        return self._html(request, "agency.html", view=view, page=page, before=before)

    async def json(self, request: Request) -> Response:
        book, url = self._service.book, self._url(request)
        page = page_of(book, book.requests(), before=_before(request), now_us=self._service.now_us())
        more = None if page.older is None else f"{url}/feed.json?before={page.older}"
        body = json_feed(page.requests, url=url, title=TITLE, more=more)
        return _answer(request, json.dumps(body, ensure_ascii=False, indent=1).encode(), MEDIA_TYPE)

    async def style(self, request: Request) -> Response:
        return _answer(request, self._style, "text/css; charset=utf-8")

    def _url(self, request: Request) -> str:
        return self._service.url or str(request.base_url).rstrip("/")

    def _html(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        log_values = {"size": self._service.log.size, "origin": self._service.log.origin, "title": TITLE}
        text = self._pages.get_template(template).render(**log_values, **values)
        return _answer(request, text.encode(), "text/html; charset=utf-8", status=status)

    def _missing(self, request: Request, message: str) -> Response:
        return self._html(request, "missing.html", status=404, message=message)


def _before(request: Request) -> int | None:
    try:
        return parse_decimal(request.query_params["before"], what="before")
    except (KeyError, WireError):
        return None  # a link that somebody mistyped shows the newest


def _answer(request: Request, body: bytes, media_type: str, *, status: int = 200) -> Response:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**_HEADERS, "ETag": tag}
    if status == 200 and tag in [one.strip() for one in request.headers.get("if-none-match", "").split(",")]:  # noqa: PLR2004 - OK
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers=headers, media_type=media_type)
