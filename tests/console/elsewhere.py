"""Another site: a second server on this machine, with pages that do what the console's owner never asked for."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Elsewhere:
    """Serves pages by path, and remembers what browsers told it."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {"/": "<!doctype html><title>elsewhere</title>"}
        self.asked: list[tuple[str, str, Mapping[str, str], bytes]] = []  # method, path, headers, body
        self.port = 0

    @property
    def origin(self) -> str:
        """A port of localhost, as the console's is."""
        return f"http://localhost:{self.port}"


@contextlib.contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Serve while the block runs."""
    site = Elsewhere()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            site.asked.append((self.command, self.path, headers, body))
            page = site.pages.get(self.path.partition("?")[0])
            data = (page or "").encode()
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815 - what the library calls them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - what the library calls it
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
