"""The control socket: one request, one answer; strict, private, and clear when nobody is there."""

import asyncio
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.encoding import WireError
from device.consent.errors import ConsentError
from device.control import SOCKET_NAME, Answer, ControlClient, ControlError, ControlServer, _parse_head


async def echo(arguments: Mapping[str, Any], body: bytes) -> Answer:
    return dict(arguments), body[::-1]


async def refuse(arguments: Mapping[str, Any], body: bytes) -> Answer:
    raise ConsentError(f"no, not {arguments['what']} with {len(body)} bytes")


async def large(arguments: Mapping[str, Any], body: bytes) -> Answer:
    del arguments
    return {}, body * 40


def serving(home: Path) -> ControlServer:
    return ControlServer(home / SOCKET_NAME, {"echo": echo, "refuse": refuse, "large": large}, refusals=(ConsentError,))


async def call(home: Path, op: str, body: bytes = b"", **arguments: Any) -> Answer:
    return await asyncio.to_thread(lambda: ControlClient(home).exchange(op, body, **arguments))


async def raw(home: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(home / SOCKET_NAME)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_arguments_and_bytes_go_through(tmp_path: Path) -> None:
    """What is asked arrives, and so does what is answered, raw bytes included."""
    async with serving(tmp_path).running():
        assert await call(tmp_path, "echo", b"\x00\n\xff", leaf="ab", n=3) == ({"leaf": "ab", "n": 3}, b"\xff\n\x00")


async def test_a_large_answer_arrives_whole(tmp_path: Path) -> None:
    """As much as a run of segments has, byte for byte, by any number of callers at once."""
    pieces = [os.urandom(800_001) for _ in range(3)]
    async with serving(tmp_path).running():
        answers = await asyncio.gather(*(call(tmp_path, "large", piece) for piece in pieces))
    assert [payload for _, payload in answers] == [piece * 40 for piece in pieces]


async def test_who_reads_nothing_keeps_nobody_waiting(tmp_path: Path) -> None:
    """An answer that nobody fetches is not pushed into memory beyond a piece, and others are served meanwhile."""
    piece = os.urandom(800_000)
    async with serving(tmp_path).running():
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET_NAME, limit=1_000)
        writer.write(b'{"op":"large","bytes":%d}\n' % len(piece) + piece)
        await writer.drain()
        for _ in range(20):
            assert (await call(tmp_path, "echo"))[0] == {}
        answer = await reader.read()
        assert answer.endswith(piece)
        assert len(answer) > 40 * len(piece)
        writer.close()


async def test_a_refusal_is_one_line_at_the_caller(tmp_path: Path) -> None:
    """An error that is meant for the user reaches the user."""
    async with serving(tmp_path).running():
        with pytest.raises(ControlError, match="no, not this with 2 bytes"):
            await call(tmp_path, "refuse", b"xx", what="this")
        with pytest.raises(ControlError, match="does not know that operation"):
            await call(tmp_path, "format-disk")


async def test_the_socket_is_its_users_alone(tmp_path: Path) -> None:
    """Nobody else may connect, and nothing is left behind."""
    path = tmp_path / SOCKET_NAME
    async with serving(tmp_path).running():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """What a killed daemon left does not keep the next one from starting."""
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / SOCKET_NAME))
    left.close()
    async with serving(tmp_path).running():
        assert (await call(tmp_path, "echo"))[0] == {}


async def test_a_deep_folder_is_reached(tmp_path: Path) -> None:
    """A Unix socket's address is short; the folder's name need not be."""
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 6)
    deep.mkdir(parents=True)
    assert len(os.fsencode(deep)) > 108
    async with serving(deep).running():
        assert (await call(deep, "echo"))[0] == {}


def test_nobody_there_says_what_to_do(tmp_path: Path) -> None:
    """Without a daemon the line names the command that starts it; without a device, the one that makes it."""
    for home in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ControlError, match="latchstring device init"):
            ControlClient(home).call("status")
    (tmp_path / "device.toml").touch()
    with pytest.raises(ControlError, match="latchstring device run"):
        ControlClient(tmp_path).call("status")


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"[]\n", b'{"op":1}\n', b'{"op":"echo","op":"echo"}\n', b'{"op":"echo","bytes":-1}\n',
     b'{"op":"echo","bytes":true}\n', b'{"op":"echo","bytes":99999999999}\n', b'{"op":"echo","bytes":5}\nab',
     b"\xff\xfe\n", b"x" * (5 << 20)],
)  # fmt: skip
async def test_rubbish_is_refused_and_serving_goes_on(tmp_path: Path, line: bytes) -> None:
    """A malformed request gets an error or a closed connection; the next one is served."""
    async with serving(tmp_path).running():
        try:
            answer = await raw(tmp_path, line)
        except ConnectionError:
            answer = b""
        assert b'"ok":true' not in answer
        assert (await call(tmp_path, "echo"))[0] == {}


@given(st.binary(max_size=200))
def test_no_line_is_taken_for_a_request_that_is_none(data: bytes) -> None:
    """Whatever comes in is a strict request or an error, never something else."""
    try:
        head = _parse_head(data)
    except WireError:
        return
    assert isinstance(head["op"], str)
