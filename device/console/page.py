"""The page's own files: one HTML shell with nothing in it, modules, styles. Read once; nothing else is ever served."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


def routes(*, version: str) -> list[Route]:
    """Return the routes of the shell and of every file it may load, by name: no path is made of what somebody sends."""
    environment = Environment(
        loader=PackageLoader("device.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    shell = environment.get_template("shell.html").render(version=version).encode()
    found = [Route("/", _serve(shell, "text/html"), methods=["GET"])]
    for file in files("device.console").joinpath("static").iterdir():
        kind = KINDS.get(file.name.rpartition(".")[2])
        if kind is not None:
            found.append(Route(f"/static/{file.name}", _serve(file.read_bytes(), kind), methods=["GET"]))
    return found


def _serve(data: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_: Request) -> Response:
        return Response(data, media_type=kind)

    return serve
