"""What the page's tests share: a book with two agencies, the page served from it, and forms that keep every rule."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette

from broker import ask
from broker.clock import system_now_us
from broker.log.history.book import Book
from broker.wire.envelopes import public_bytes
from broker.wire.records import EXCLUDED_PURPOSES, Agency
from tests.agency.support import NOW_US, key_of

FORM: dict[str, str | list[str]] = {
    "agency": "northtown-police",
    "case": "26-001234",
    "incident": "package-theft",
    "description": "A parcel was taken from a porch.\nWe look for the person who took it.",
    "at": "52.5203N 13.4054E",
    "radius_m": "250",
    "start": "2026-05-28T19:00",
    "end": "2026-05-28T20:30",
    "zone": "Europe/Berlin",
    "devices": ["doorbell", "camera"],
    "purpose": "To find who took the parcel",
    "retention_days": "30",
    "sharing": "",
    "excludes": list(EXCLUDED_PURPOSES),
    "contact": "",
    "expires_in_days": "14",
    "folder": "agency",
}


def a_book() -> Book:
    """Return a book that admits two agencies, as the operator's own would."""
    book = Book()
    for name in ("Northtown", "Southtown"):
        record = Agency(
            agency=f"{name.lower()}-police",
            name=f"{name} Police",
            domain=f"{name.lower()}.example",
            contact=f"desk@{name.lower()}.example",
            key=public_bytes(key_of(name)),
            admitted_at=NOW_US - 1,
            admitted_by="the operator",
            evidence="a letter",
        )
        book.apply(book.size, record.sign(key_of("operator")))
    return book


def app(book: Book | None = None, *, now_us: Callable[[], int] = lambda: NOW_US) -> Starlette:
    return Starlette(routes=ask.routes(book or a_book(), now_us=now_us))


def encoded(form: dict[str, str | list[str]]) -> bytes:
    return urlencode(form, doseq=True).encode()


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Serve the page with this machine's clock; gives its address."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{sock.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(_made_there, factory=True, lifespan="off", log_level="error"))
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined,unused-ignore]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


def _made_there() -> Starlette:
    return app(now_us=system_now_us)  # in the server's own thread, which the book belongs to


class Page(HTMLParser):
    """What a page says in its elements with an id, and the hrefs of its links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.links: list[dict[str, str | None]] = []
        self._open: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "a":
            self.links.append(named)
        if tag not in {"input", "meta", "link", "path", "circle", "rect", "br"}:
            self._open.append((tag, named.get("id")))
            if named.get("id"):
                self.texts[str(named["id"])] = ""

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, key in self._open:
            if key:
                self.texts[key] += data
