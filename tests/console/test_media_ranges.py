"""Bytes by range, as a media element asks for them."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import Message, Scope

from device.console.media import MOST_AT_ONCE, ranged
from tests.console.apart import finished

DATA = bytes(range(256)) * 3


def body_of(response: Response) -> bytes:
    sent: list[bytes] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))

    scope: Scope = {"type": "http", "method": "GET", "headers": []}
    finished(response(scope, receive, send))
    return b"".join(sent)


@given(st.integers(0, 1_000), st.one_of(st.none(), st.integers(0, 1_000)))
def test_a_range_gives_those_bytes_or_says_that_there_are_none(start: int, last: int | None) -> None:
    answer = ranged(DATA, "video/mp4", f"bytes={start}-{'' if last is None else last}")
    expected = DATA[start:] if last is None else DATA[start : last + 1]
    if expected:
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{len(DATA)}"
        assert answer.headers["content-length"] == str(len(expected))
        assert body_of(answer) == expected
    else:
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


def test_a_film_is_given_in_pieces_so_that_a_paused_one_holds_no_connection() -> None:
    long = bytes(MOST_AT_ONCE + 10)
    answer = ranged(long, "video/mp4", "bytes=5-")
    assert answer.headers["content-range"] == f"bytes 5-{MOST_AT_ONCE + 4}/{len(long)}"
    assert ranged(long, "video/mp4", f"bytes={MOST_AT_ONCE}-").headers["content-length"] == "10"


@given(st.one_of(st.none(), st.sampled_from(["", "bytes", "bytes=-5", "bytes=0-1,3-4", "items=0-1", "bytes=a-b"])))
def test_what_is_no_single_range_gives_all_of_it(wanted: str | None) -> None:
    answer = ranged(DATA, "video/mp4", wanted)
    assert answer.status_code == 200
    assert body_of(answer) == DATA
