"""How a page is made: templates, static files under names that carry their hash, and what a browser may do with it."""

from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from broker.caching import hashed_name

from .answers import BRIEF, IMMUTABLE, PAGE, Content, answer
from .source import Source
from .texts import number_text

TITLE: Final = "Asked in public"
HTML: Final = "text/html; charset=utf-8"
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; {script}base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
NO_SCRIPT: Final = _POLICY.format(script="")
OWN_SCRIPT: Final = _POLICY.format(script="script-src 'self'; ")
_STATIC = {
    "style.css": "text/css; charset=utf-8",
    "map.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class Static:
    """The package's static files; under its hashed name a file never changes."""

    def __init__(self) -> None:
        self._files: dict[str, Content] = {}
        self._paths: dict[str, str] = {}
        for name, media_type in _STATIC.items():
            body = files("broker.feed").joinpath("static", name).read_bytes()
            hashed = hashed_name(name, body)
            self._files[hashed] = Content(body, media_type, keep=IMMUTABLE, policy=NO_SCRIPT)
            self._files[name] = Content(body, media_type, keep=PAGE, policy=NO_SCRIPT)
            self._paths[name] = f"/static/{hashed}"

    def path(self, name: str) -> str:
        """Return the lasting address of a file."""
        return self._paths[name]

    def get(self, name: str) -> Content | None:
        """Return a file by its plain or hashed name."""
        return self._files.get(name)


class Site:
    """Pages, with what stands on all of them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.static = Static()
        self._pages = Environment(
            loader=PackageLoader("broker.feed"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._pages.globals["static"] = self.static.path
        self._pages.filters["number"] = number_text
        self._template = lru_cache(None)(self._pages.get_template)

    def html(
        self, request: Request, template: str, *, status: int = 200, script: bool = False, **values: Any
    ) -> Response:
        """Render a page; `script` lets it load a module of ours."""
        text = self._template(template).render(
            title=TITLE, origin=self._source.origin, size=self._source.size, path=request.url.path, **values
        )
        keep = PAGE if status == 200 else BRIEF  # noqa: PLR2004 - OK
        policy = OWN_SCRIPT if script else NO_SCRIPT
        return answer(request, Content(text.encode(), HTML, keep=keep, status=status, policy=policy))

    def missing(self, request: Request, message: str) -> Response:
        """Say that there is no such thing."""
        return self.html(request, "missing.html", status=404, heading="Not found", message=message)

    def wrong(self, request: Request, message: str) -> Response:
        """Say that an address can't be understood."""
        return self.html(request, "missing.html", status=400, heading="That address can't be read", message=message)

    def url(self, request: Request) -> str:
        """Return the site's address, without a slash at the end."""
        return self._source.url or str(request.base_url).rstrip("/")
