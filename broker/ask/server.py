"""The page's routes. It works without script; with it, rules are checked as one types. Nothing is kept or set."""

import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from broker.agency.rulebook import radius_range
from broker.caching import FRESH, IMMUTABLE, hashed_name
from broker.log.history.book import Book
from broker.wire.encoding import to_base64
from broker.wire.records import EXCLUDED_PURPOSES, INCIDENTS, Agency
from broker.wire.rules import Limits
from broker.words import excluded_text

from .figure import figure
from .form import MAX_BODY_BYTES, Form, FormError, parse_form
from .verdict import Verdict, judge
from .zones import ZONES

TITLE = "Asked in public"
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": FRESH,
}
_HANG_UP = {"Connection": "close"}  # else the rest of the body would be read and thrown away, however long
_UNREADABLE = 422

_Handler = Callable[[Request], Awaitable[Response]]


def routes(
    book: Book,
    *,
    now_us: Callable[[], int],
    limits: Limits | None = None,
    stylesheet: str | None = None,
    icon: str | None = None,
) -> list[Route]:
    """Return the page's routes; `stylesheet` is the path of one to be loaded before the page's own, `icon` of an icon.

    GET  /ask          the empty form
    POST /ask/check    the form again, with its mistakes, or with every rule, and with what to save and to run if all
                       are kept; 422 where it can't be read as a request. Nothing is kept of it
    GET  /ask/...      the script and the style, under names that change with what is in them
    """
    page = _Page(book, now_us=now_us, limits=limits or Limits(), stylesheet=stylesheet, icon=icon)
    return [
        Route("/ask", page.empty),
        Route("/ask/check", page.check, methods=["POST"]),
        Route("/ask/check", page.back),
        *(Route(path, page.asset(data, kind)) for path, data, kind in page.assets),
    ]


class _Page:
    def __init__(
        self, book: Book, *, now_us: Callable[[], int], limits: Limits, stylesheet: str | None, icon: str | None
    ) -> None:
        self._book = book
        self._now_us = now_us
        self._limits = limits
        self._templates = Environment(
            # An agency's preview is the agency's, and the head of every page the feed's.
            loader=ChoiceLoader([PackageLoader(room) for room in ("broker.ask", "broker.agency", "broker.feed")]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        script, style = _asset("ask.js", "text/javascript"), _asset("ask.css", "text/css")
        self.assets = [script, style]
        self._same = {
            "title": TITLE,
            "icon": icon,
            "script": script[0],
            "styles": [*([stylesheet] if stylesheet else []), style[0]],
            "incidents": INCIDENTS,
            "excluded_words": [(code, excluded_text(code).capitalize()) for code in EXCLUDED_PURPOSES],
            "zones": ZONES,
            "radii": radius_range(limits),
            "limits": limits,
        }

    def asset(self, data: bytes, kind: str) -> _Handler:
        """Return what serves a file that never changes under its name."""
        headers = {"Cache-Control": IMMUTABLE, "X-Content-Type-Options": "nosniff"}

        async def serve(_: Request) -> Response:
            return Response(data, media_type=f"{kind}; charset=utf-8", headers=headers)

        return serve

    async def empty(self, _: Request) -> Response:
        return self._page(Form(), Verdict())

    async def back(self, _: Request) -> Response:
        """Lead who asks for the answer again, without the form, to the form."""
        return RedirectResponse("/ask", 303, headers=_HEADERS)

    async def check(self, request: Request) -> Response:
        try:
            form = parse_form(await _body(request))
        except FormError as error:
            return PlainTextResponse(f"{error}\n", 400, headers={**_HEADERS, **_HANG_UP})
        now_us = self._now_us()
        verdict = judge(
            form,
            self._agencies(),
            now_us=now_us,
            limits=self._limits,
            earlier_posts=self._book.posts,
            open_requests=lambda agency: self._book.open_requests(agency, now_us),
        )
        return self._page(form, verdict, status=200 if verdict.rows else _UNREADABLE)

    def _agencies(self) -> dict[str, Agency]:
        known = (self._book.agency(one.agency.agency) for one in self._book.agencies())
        return {one.agency.agency: one.agency for one in known if one is not None}

    def _page(self, form: Form, verdict: Verdict, *, status: int = 200) -> Response:
        agencies = self._agencies()
        handed = verdict.handed
        text = self._templates.get_template("ask.html").render(
            **self._same,
            form=form,
            verdict=verdict,
            faults={fault.field: fault.what for fault in verdict.faults},
            agencies=list(agencies.values()),
            facts=_facts(self._limits, agencies, verdict),
            figure=figure(form.texts["radius_m"], form.texts["at"], self._limits),
            saved=None if handed is None else to_base64(handed.toml.encode()),
        )
        return Response(text, status, media_type="text/html; charset=utf-8", headers=_HEADERS)


def _facts(limits: Limits, agencies: dict[str, Agency], verdict: Verdict) -> str:
    """Return what the script needs to check the rules as the server does, as JSON."""
    facts: dict[str, Any] = {
        "windowMinUs": limits.window_min_us,
        "windowMaxUs": limits.window_max_us,
        "lookBackMaxUs": limits.look_back_max_us,
        "areaMinM2": limits.area_min_m2,
        "areaMaxM2": limits.area_max_m2,
        "openMaxUs": limits.open_for_max_us,
        "retentionMaxDays": limits.retention_max_days,
        "incidents": INCIDENTS,
        "excludes": EXCLUDED_PURPOSES,
        "domains": {one.agency: one.domain for one in agencies.values()},
        "contacts": {one.agency: one.contact for one in agencies.values()},
        "fresh": not (verdict.faults or verdict.rows),
    }
    return json.dumps(facts)


def _asset(name: str, kind: str) -> tuple[str, bytes, str]:
    data = files("broker.ask").joinpath("static", name).read_bytes()
    return f"/ask/{hashed_name(name, data)}", data, kind


async def _body(request: Request) -> bytes:
    """Read a form of bounded size, whatever the length header says."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise FormError("send the form as application/x-www-form-urlencoded")
    parts: list[bytes] = []
    total = 0
    async for part in request.stream():
        total += len(part)
        if total > MAX_BODY_BYTES:
            raise FormError(f"the form has more than {MAX_BODY_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)
