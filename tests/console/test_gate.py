"""Who is let in: names, origins, tokens and bodies, as a program on this machine would try them."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.console.client import Client
from tests.console.serving import Console

pytestmark = [pytest.mark.xdist_group("console"), pytest.mark.slow, pytest.mark.timeout(90)]

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
CALLS = {
    "GET": ["state", "stream", "home", "day", "requests", "request", "ledger", "drafts/x"],
    "POST": [
        "link", "unlock", "lock", "passkeys/options", "passkeys/add", "passkeys/remove", "play", "privacy", "test",
        "decline", "mute", "drafts", "drafts/x/build", "drafts/x/approve", "drafts/x/drop",
        "export", "receipt", "deletion",
    ],
}  # fmt: skip
OPEN_WHILE_LOCKED = {"state", "stream", "link", "unlock", "lock", "passkeys/options"}


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example", "rebound.example:{port}", "localhost", "localhost:1", "localhost.:{port}",
        "127.0.0.1.rebound.example:{port}", "a.localhost:{port}", "127.1:{port}", "0.0.0.0:{port}", "[::1]:{port}",
        "2130706433:{port}", "user@localhost:{port}", "localhost:{port}@rebound.example",
        "localhost:{port}, localhost:{port}", "localhost:0{port}", "",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/api/state", "/static/main.js", "/media/x"])
def test_a_name_that_was_pointed_at_this_machine_gets_nothing(client: Client, path: str, host: str) -> None:
    """Whatever else the Host says, and whoever has the token: 421, whatever is asked for."""
    answer = client.send("GET", path, headers={"Host": host.format(port=client.port)})
    assert answer.status == 421
    assert answer.json.keys() == {"error"}


@pytest.mark.parametrize(
    "hosts", [[], ["localhost:{port}", "rebound.example"], ["rebound.example", "localhost:{port}"]]
)
def test_no_name_or_two_names_get_nothing(client: Client, hosts: list[str]) -> None:
    """A request without a Host, or with two, is answered with an error and nothing else."""
    lines = "".join(f"Host: {host.format(port=client.port)}\r\n" for host in hosts)
    answer = client.raw(f"GET / HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
    assert answer.split(b" ")[1] in {b"400", b"421"}
    assert b"<html" not in answer


@pytest.mark.parametrize(
    "origin",
    ["null", "https://localhost:{port}", "http://localhost", "http://localhost:{other}", "http://127.0.0.1:{port}",
     "http://localhost:{port}.rebound.example", "http://rebound.example", "http://localhost:{port}/", ""],
)  # fmt: skip
def test_another_origin_gets_nothing(client: Client, origin: str) -> None:
    """An Origin that is not the console's own is refused, even with the token; another port is another origin."""
    named = origin.format(port=client.port, other=client.port ^ 1)
    for method, path, body in (("POST", "/api/lock", b"{}"), ("GET", "/api/state", None), ("GET", "/", None)):
        answer = client.send(method, path, body, {"Origin": named})
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers
    assert client.state()["locked"] is False


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "nonsense"])
def test_what_a_browser_fetches_for_another_site_is_refused(client: Client, site: str) -> None:
    """Scripts, pictures, calls and media are for the page itself alone, and say so by Sec-Fetch-Site."""
    for path in ("/api/state", "/static/main.js", "/media/x"):
        assert client.send("GET", path, headers={"Sec-Fetch-Site": site}).status == 403
    framed = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}
    assert client.send("GET", "/", headers=framed).status == 403
    clicked = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
    assert client.send("GET", "/", headers=clicked).status == 200


@pytest.mark.parametrize(("method", "call"), [(method, call) for method, calls in CALLS.items() for call in calls])
def test_no_call_is_made_without_a_session(console: Console, method: str, call: str) -> None:
    """Without a token, with a wrong one, or with one in the address, every call is refused before it is looked at."""
    known = Client.opened(console.port, console.link())
    stranger = Client(console.port)
    body = b"{}" if method == "POST" else None
    for value in (
        None,
        "Bearer",
        "Bearer x",
        f"Basic {known.token}",
        f"Bearer {known.token}x",
        f"bearer  {known.token}",
    ):
        answer = stranger.send(method, f"/api/{call}", body, {"Authorization": value})
        assert answer.status == 401, value
        assert "www-authenticate" not in answer.headers
    for name in ("token", "access_token", "authorization", "session"):
        assert stranger.send(method, f"/api/{call}?{name}={known.token}", body).status == 401
    cookie = {"Cookie": f"token={known.token}; session={known.token}"}
    assert stranger.send(method, f"/api/{call}", body, cookie).status == 401


def test_a_locked_console_tells_nothing_but_that(own_console: Console) -> None:
    """Before it is unlocked a session learns the devices' names, and every other call is refused."""
    client = Client.opened(own_console.port, own_console.first_link)
    state = client.state()
    assert state["locked"] is True
    assert [one["device"] for one in state["devices"]] == ["drive", "porch"]
    for method, calls in CALLS.items():
        for call in calls:
            if call not in OPEN_WHILE_LOCKED:
                body = b"{}" if method == "POST" else None
                assert client.send(method, f"/api/{call}", body).status == 423, call


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", None])
def test_only_json_is_taken(client: Client, kind: str | None) -> None:
    """What a form of another site can send is not even read."""
    assert client.send("POST", "/api/lock", b"{}", {"Content-Type": kind}).status == 415
    assert client.state()["locked"] is False


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"1", b"{", b'{"on": 1e999}', b'{"device": "porch", "on": true, "on": false}',
     b'{"device": "porch", "on": "true"}', b'{"device": "porch", "on": true, "more": 1}', b'{"device": "porch"}',
     b"\xff\xfe{\0}\0", b"{" * 20_000, json.dumps({"device": "p" * 100_000, "on": True}).encode()],
)  # fmt: skip
def test_a_body_that_is_not_the_calls_own_changes_nothing(client: Client, body: bytes) -> None:
    """A body must be one object of known fields of the right kinds, each once."""
    answer = client.send("POST", "/api/privacy", body)
    assert answer.status in {400, 404}
    assert answer.json.keys() == {"error"}
    assert all(one["privacy"] is False for one in client.get("/api/home")["devices"])


def test_bodies_have_a_length_and_a_bound(client: Client) -> None:
    """Too long, of no stated length, or in chunks: refused before any of it is read."""
    for length in ("600000", "99999999999999999999", "-1", "+2", "0x2", "two"):
        answer = client.raw(_post(client, f"Content-Length: {length}\r\n"), within_s=3)
        assert answer.split(b" ")[1:2] in ([b"400"], [b"411"], [b"413"]), (length, answer)
    assert client.send("POST", "/api/lock", None, {"Content-Type": "application/json"}).status == 411
    answer = client.raw(_post(client, "Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"), within_s=3)
    assert answer.split(b" ")[1] in {b"400", b"411"}
    assert client.state()["locked"] is False


def test_no_second_request_hides_in_a_first(client: Client) -> None:
    """Two lengths, or a length and chunks, leave no room for a request that only the server sees."""
    hidden = b"POST /api/lock HTTP/1.1\r\n"
    for headers in (
        "Content-Length: 2\r\nContent-Length: 4\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n",
        "Content-Length : 2\r\n",
        " Content-Length: 2\r\n",
        "X: y\rContent-Length: 2\r\n",
        "X: y\0\r\nContent-Length: 2\r\n",
    ):
        lock = hidden + _post(client, "Content-Length: 2\r\n").partition(b"\r\n")[2] + b"{}"
        answer = client.raw(_post(client, headers, b"0\r\n\r\n" + lock, path="/api/link"), within_s=3)
        assert answer.count(b"HTTP/1.1") == 1, (headers, answer)
        assert answer.split(b" ")[1] in {b"400", b"411", b"415", b"501"}, headers
    assert client.state()["locked"] is False


def test_a_body_that_never_ends_is_given_up(client: Client) -> None:
    """Connections that say little or nothing more keep nobody else waiting, and are ended."""

    def dawdle(data: bytes) -> tuple[float, bytes]:
        began = time.monotonic()
        answer = client.raw(data, within_s=30)
        return time.monotonic() - began, answer

    waiting = _post(client, "Content-Length: 200\r\n", b'{"')
    with ThreadPoolExecutor(24) as many:
        slow = [many.submit(dawdle, waiting) for _ in range(20)]
        time.sleep(0.5)
        began = time.monotonic()
        assert client.state()["locked"] is False
        assert time.monotonic() - began < 2
        for one in slow:
            seconds, answer = one.result()
            assert seconds < 20
            assert answer.split(b" ")[1:2] in ([b"408"], [])
    assert client.state()["locked"] is False


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "PROPFIND", "get"])
def test_only_get_and_post_are_answered(client: Client, method: str) -> None:
    """No other method does anything, and no preflight is granted."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = client.send(method, "/api/state", headers=asked)
    assert answer.status in {400, 405}
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_nothing_but_http_is_spoken(client: Client) -> None:
    """An upgrade to a web socket, or to HTTP/2, is not granted."""
    for more in ("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                 "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"):  # fmt: skip
        for path in ("/api/stream", "/"):
            request = f"GET {path} HTTP/1.1\r\nHost: localhost:{client.port}\r\nConnection: Upgrade\r\n{more}\r\n\r\n"
            answer = client.raw(request.encode(), within_s=0.5)
            assert answer.split(b" ")[1] in {b"200", b"400", b"401", b"403"}
            assert b"101 Switching" not in answer
    answer = client.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", within_s=0.5)
    assert answer == b"" or answer.split(b" ")[1] in {b"400", b"405", b"421", b"505"}
    assert client.state()["locked"] is False


def test_every_answer_carries_the_rules(client: Client) -> None:
    """Page, script, call, refusal and error alike: no frame, no script but its own, no store, and never a cookie."""
    answers = [
        client.send("GET", "/"),
        client.send("GET", "/static/main.js"),
        client.send("GET", "/api/state"),
        client.send("GET", "/api/nothing"),
        client.send("GET", "/nothing"),
        client.send("GET", "/media/x"),
        client.send("GET", "/", headers={"Host": "rebound.example"}),
        client.send("GET", "/api/state", headers={"Authorization": None}),
        client.ask("/api/unlock", passphrase=7),
        client.send("DELETE", "/api/state"),
    ]
    assert [one.status for one in answers] == [200, 200, 200, 404, 404, 403, 421, 401, 400, 405]
    for answer in answers:
        assert "set-cookie" not in answer.headers
        assert answer.headers.items() >= HEADERS.items()
        rules = dict(rule.strip().partition(" ")[::2] for rule in answer.headers["content-security-policy"].split(";"))
        assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
        assert rules["require-trusted-types-for"] == "'script'"
        assert {rules[kind] for kind in ("script-src", "style-src", "connect-src")} == {"'self'"}
        assert "unsafe" not in str(rules)
        assert "*" not in str(rules)


def _post(client: Client, headers: str, body: bytes = b"", *, path: str = "/api/lock") -> bytes:
    """Return a POST with a session, its length left to the headers."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{client.port}\r\nAuthorization: Bearer {client.token}\r\n"
        f"Connection: close\r\nContent-Type: application/json\r\n{headers}\r\n"
    )
    return head.encode() + body
