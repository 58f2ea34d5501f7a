"""The gate in front of every request, rule by rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.console.guard import MAX_BODY_BYTES, SECURITY_HEADERS, check

PORT = 8440
HOST = {"host": "localhost:8440"}
JSON = {**HOST, "content-type": "application/json", "content-length": "2"}


def status(method: str, target: str, headers: dict[str, str]) -> int:
    refusal = check(method, target, headers, port=PORT)
    return 200 if refusal is None else refusal.status


def test_the_console_s_own_page_gets_through() -> None:
    own = {"origin": "http://localhost:8440", "sec-fetch-site": "same-origin"}
    assert status("GET", "/api/state", {**HOST, "sec-fetch-site": "same-origin"}) == 200
    assert status("POST", "/api/lock", {**JSON, **own}) == 200
    assert status("GET", "/", {**HOST, "sec-fetch-site": "none", "sec-fetch-mode": "navigate"}) == 200
    assert status("GET", "/", {"host": "127.0.0.1:8440"}) == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "localhost:8441",
        "evil.example:8440",
        "localhost.evil.example:8440",
        "127.0.0.1.nip.io:8440",
        "[::1]:8440",
        "0.0.0.0:8440",
        "localhost:8440 ",
        "localhost:08440",
        "user@localhost:8440",
    ],
)
def test_a_host_that_is_not_this_console_is_told_so(host: str) -> None:
    assert status("GET", "/", {"host": host}) == 421


@given(st.text(max_size=40))
def test_no_other_host_at_all_gets_through(host: str) -> None:
    expected = host.lower() in {"localhost:8440", "127.0.0.1:8440"}
    assert (status("GET", "/", {"host": host}) == 200) == expected


@pytest.mark.parametrize(
    "origin",
    ["null", "http://localhost", "http://localhost:8441", "https://localhost:8440", "http://127.0.0.1:8440", ""],
)
def test_another_origin_may_ask_nothing(origin: str) -> None:
    assert status("POST", "/api/lock", {**JSON, "origin": origin}) == 403
    assert status("GET", "/", {**HOST, "origin": origin}) == 403


@pytest.mark.parametrize("site", ["same-site", "cross-site", "none", "anything"])
@pytest.mark.parametrize("target", ["/api/state", "/media/x", "/static/main.js", "/?x", "//"])
def test_other_sites_and_addresses_typed_by_hand_reach_the_bare_page_alone(site: str, target: str) -> None:
    assert status("GET", target, {**HOST, "sec-fetch-site": site, "sec-fetch-mode": "navigate"}) == 403


def test_the_page_can_be_opened_by_a_link_elsewhere_but_not_framed_or_fetched() -> None:
    elsewhere = {**HOST, "sec-fetch-site": "cross-site"}
    assert status("GET", "/", {**elsewhere, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}) == 200
    assert status("GET", "/", {**elsewhere, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}) == 403
    assert status("GET", "/", {**elsewhere, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}) == 403
    assert status("POST", "/", {**JSON, **elsewhere, "sec-fetch-mode": "navigate"}) == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "get", "CONNECT"])
def test_there_are_two_methods(method: str) -> None:
    assert status(method, "/", HOST) == 405


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"]
)
def test_what_a_form_can_send_is_not_taken(kind: str) -> None:
    assert status("POST", "/api/lock", {**JSON, "content-type": kind}) == 415


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content-length": str(MAX_BODY_BYTES + 1)}, 413),
        ({"content-length": "9" * 40}, 413),
        ({"content-length": ""}, 411),
        ({"content-length": "-1"}, 411),
        ({"content-length": "²"}, 411),
        ({"transfer-encoding": "chunked"}, 411),
    ],
)
def test_a_body_says_its_length_and_has_a_bound(headers: dict[str, str], expected: int) -> None:
    assert status("POST", "/api/lock", {**JSON, **headers}) == expected


def test_no_script_but_the_console_s_own_can_run_and_nobody_can_frame_it() -> None:
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["connect-src"] == directives["media-src"] == "'self'"
    assert directives["frame-ancestors"] == directives["form-action"] == directives["base-uri"] == "'none'"
    assert directives["require-trusted-types-for"] == "'script'"
    assert directives["trusted-types"] == "'none'"
    assert "unsafe" not in policy
