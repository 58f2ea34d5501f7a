"""What an agency's clients are tried against: a log that can be bent."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from broker.agency import (
    LogClient,
)
from broker.agency.line import new_http
from broker.wire.merkle import leaf_hash
from broker.wire.proofs import parse_policy
from tests.agency.support import (
    POLICY_TEXT,
    TinyLog,
)

Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeLog:
    """Serves the log's routes over a TinyLog; `bend` may change an answer, `down` cuts the line, `refuse` says no."""

    log: TinyLog = field(default_factory=TinyLog)
    bend: Callable[[dict[str, object]], dict[str, object]] = lambda body: body
    refuse: tuple[int, str] | None = None
    down: str = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down == "before":
            raise httpx.ConnectError("no route")
        if request.url.path == "/log/policy":
            return httpx.Response(200, text=POLICY_TEXT)
        assert (request.method, request.url.path) == ("POST", "/log/entries")
        if self.refuse:
            status, code = self.refuse
            return httpx.Response(status, json={"error": {"code": code, "message": "no \x1b[31m"}})
        index = self.log.add(request.content)
        if self.down == "after":
            raise httpx.ReadError("cut")
        leaf = leaf_hash(request.content).hex()
        return httpx.Response(
            201, json=self.bend({"index": index, "leaf": leaf, "proof": self.log.proof(index).decode()})
        )

    def client(self) -> LogClient:
        return LogClient("http://broker/log/", policy=parse_policy(POLICY_TEXT), http=http(self))


def http(answer: Answer) -> httpx.Client:
    """Return a client whose answers arrive as a stream, as from a socket."""

    def streamed(request: httpx.Request) -> httpx.Response:
        given = answer(request)
        if not given.is_stream_consumed:
            return given
        return httpx.Response(given.status_code, headers=given.headers, content=iter([given.content]))

    return new_http(transport=httpx.MockTransport(streamed))
