"""A program that talks to the console's port: as the page does, and as nobody should."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.neighbourhood.support import PASSPHRASE, wait_for

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The line for a person."""
        return str(self.json["error"])


class Client:
    """One session, or none: `token` is what a link was exchanged for."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port = port
        self.token = token

    @classmethod
    def opened(cls, port: int, link: str) -> "Client":
        """Exchange a one-time link for a session."""
        client = cls(port)
        client.token = client.post("/api/session", link=link.partition("#open=")[2])["token"]
        return client

    @contextlib.contextmanager
    def there(self) -> Iterator[None]:
        """Be as a page that is open, so that the console does not lock for want of one."""
        request = (
            f"GET /api/stream HTTP/1.1\r\nHost: localhost:{self.port}\r\nAuthorization: Bearer {self.token}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S) as connection:
            connection.sendall(request.encode())
            assert b" 200 " in connection.recv(65_536)
            yield

    @property
    def origin(self) -> str:
        """Where the console's page is."""
        return f"http://localhost:{self.port}"

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str | None] | None = None
    ) -> Answer:
        """Send one request as it is; a header that is None is left out."""
        given: dict[str, str | None] = {"Host": f"localhost:{self.port}"}
        if self.token is not None:
            given["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            given |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        given |= headers or {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def ask(self, path: str, **arguments: Any) -> Answer:
        """Post arguments as the page does, whatever comes of it."""
        return self.send("POST", path, json.dumps(arguments).encode())

    def post(self, path: str, **arguments: Any) -> Any:
        """Post arguments; the answer must be a yes."""
        answer = self.ask(path, **arguments)
        assert answer.status == 200, (path, answer.status, answer.body[:500])
        return answer.json

    def get(self, path: str) -> Any:
        """Return what the API tells; the answer must be a yes."""
        answer = self.send("GET", path)
        assert answer.status == 200, (path, answer.status, answer.body[:500])
        return answer.json

    def state(self) -> dict[str, Any]:
        """Return how the console is; between two cells it is waited for."""
        found: dict[str, Any] = self.get("/api/state")
        return found

    def unlock(self) -> None:
        """Unlock, unless it is."""
        if self.state()["locked"]:
            self.post("/api/unlock", passphrase=PASSPHRASE)

    def lock(self) -> None:
        """Lock, and wait until it is."""
        self.post("/api/lock")
        wait_for(lambda: bool(self.state()["locked"]), "the console is locked")

    def raw(self, data: bytes, *, within_s: float = TIMEOUT_S) -> bytes:
        """Send bytes as they are; returns all that comes until the other side hangs up, or says no more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=within_s) as connection:
            connection.sendall(data)
            answer = bytearray()
            try:
                while more := connection.recv(65_536):
                    answer += more
            except (TimeoutError, ConnectionResetError):
                pass
            return bytes(answer)
