"""What an agency's clients are tried against: a log that can be bent, and that may keep its entries waiting."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from broker.agency import LogClient, Patience
from broker.agency.line import new_http
from broker.wire.merkle import leaf_hash
from broker.wire.proofs import parse_policy
from broker.wire.tiles import TILE_WIDTH, encode_entries, parse_tile_path
from tests.agency.support import POLICY_TEXT, TinyLog

Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeTime:
    """A clock that moves when somebody sleeps."""

    at_s: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at_s += seconds

    def patience(self, most_s: float = 120.0) -> Patience:
        return Patience(most_s=most_s, sleep=self.sleep, now_s=lambda: self.at_s)


@dataclass
class FakeLog:
    """Serves the log's routes over a TinyLog; `bend` may change an answer, `down` cuts the line, `refuse` says no.

    `unpublished` is how often an entry's proof is asked for in vain; `forget` drops what was taken but not published.
    """

    log: TinyLog = field(default_factory=TinyLog)
    bend: Callable[[dict[str, object]], dict[str, object]] = lambda body: body
    refuse: tuple[int, str] | None = None
    down: str = ""
    unpublished: int = 0
    forget: bool = False
    retry_after: str = "3"
    posts: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    checkpoint_headers: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down == "before":
            raise httpx.ConnectError("no route")
        path = request.url.path.removeprefix("/log/")
        self.paths.append(path)
        if request.method == "POST":
            assert path == "entries"
            return self._submit(request.content)
        if path == "policy":
            return httpx.Response(200, text=POLICY_TEXT)
        if path == "checkpoint":
            self.checkpoint_headers.append(request.headers.get("cache-control", ""))
            return httpx.Response(200, content=self.log.note())
        if path.startswith("proof/"):
            return self._proof(path.removeprefix("proof/"))
        tile = parse_tile_path(path)
        entries = self.log.entries[tile.index * TILE_WIDTH :][: tile.width]
        if len(entries) < tile.width:
            return httpx.Response(404)
        return httpx.Response(200, content=encode_entries(entries))

    def client(self, patience: Patience | None = None) -> LogClient:
        return LogClient("http://broker/log/", policy=parse_policy(POLICY_TEXT), http=http(self), patience=patience)

    def _submit(self, entry: bytes) -> httpx.Response:
        self.posts.append(entry)
        if self.refuse:
            status, code = self.refuse
            return httpx.Response(status, json={"error": {"code": code, "message": "no \x1b[31m"}})
        index, leaf = self.log.add(entry), leaf_hash(entry).hex()
        if self.down == "after":
            raise httpx.ReadError("cut")
        if self.unpublished:
            return httpx.Response(202, json=self.bend({"index": index, "leaf": leaf}))
        proof = self.log.proof(index).decode()
        return httpx.Response(201, json=self.bend({"index": index, "leaf": leaf, "proof": proof}))

    def _proof(self, leaf: str) -> httpx.Response:
        if self.forget:
            self.forget = False
            self.log.entries.pop()
        held = [entry for entry in self.log.entries if leaf_hash(entry).hex() == leaf]
        if not held:
            return httpx.Response(404, json={"error": {"code": "not-found", "message": "no such entry"}})
        if self.unpublished:
            self.unpublished -= 1
            body = {"error": {"code": "unpublished", "message": "wait"}}
            return httpx.Response(503, json=body, headers={"Retry-After": self.retry_after})
        return httpx.Response(200, content=self.log.proof(self.log.entries.index(held[0])))


def http(answer: Answer) -> httpx.Client:
    """Return a client whose answers arrive as a stream, as from a socket."""

    def streamed(request: httpx.Request) -> httpx.Response:
        given = answer(request)
        if not given.is_stream_consumed:
            return given
        return httpx.Response(given.status_code, headers=given.headers, content=iter([given.content]))

    return new_http(transport=httpx.MockTransport(streamed))
