"""The feed's routes."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .answers import answer
from .pages import Pages
from .programs import Programs
from .site import Site
from .source import Service, Source

_FOR_PROGRAMS: Final = ("/log/", "/inbox/", "/api/")


def routes(service: Service) -> list[Route]:
    """Return the feed's routes; the log has to be open.

    GET /                                 requests, newest first; the parameters of `query`
    GET /requests/<leaf>                  one request; with .geojson its area
    GET /entries/<leaf>.dsse.json         an entry, byte for byte
    GET /agencies, /agencies/<id>         agencies, and what each asked
    GET /log, /about                      the checkpoint and its cosigners; what this is
    GET /feed.atom, .json, .geojson       the same lists for programs
    GET /api/openapi.json                 describes /api/requests, /api/agencies and /api/log
    GET /static/<name>
    """
    source = Source(service)
    site = Site(source)
    pages, programs = Pages(source, site), Programs(source, site)

    async def static(request: Request) -> Response:
        found = site.static.get(request.path_params.get("name", "style.css"))
        return site.missing(request, "There is no such file.") if found is None else answer(request, found)

    return [
        Route("/", pages.index),
        Route("/agencies", pages.agencies),
        Route("/agencies/{agency}", pages.agency),
        Route("/log", pages.log),
        Route("/about", pages.about),
        Route("/requests/{leaf}.geojson", programs.place),
        Route("/requests/{leaf}", pages.request),
        Route("/entries/{leaf}.dsse.json", programs.entry),
        Route("/feed.atom", programs.feed),
        Route("/feed.json", programs.feed),
        Route("/feed.geojson", programs.feed),
        Route("/api/openapi.json", programs.description),
        Route("/api/requests", programs.requests),
        Route("/api/requests/{leaf}", programs.one_request),
        Route("/api/agencies", programs.agencies),
        Route("/api/agencies/{agency}", programs.one_agency),
        Route("/api/log", programs.log),
        Route("/static/{name}", static),
        Route("/style.css", static),
    ]


def nowhere(service: Service) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return what answers where no route does: a page, and below what programs ask a plain line.

    It is no route, which would take from others what they refuse for its method, and paths that lack a slash.
    """
    site = Site(Source(service))

    async def missing(request: Request, _: Exception) -> Response:
        if request.url.path.startswith(_FOR_PROGRAMS):
            return PlainTextResponse("Not Found", 404)
        return site.missing(request, "Nothing is at this address.")

    return missing
