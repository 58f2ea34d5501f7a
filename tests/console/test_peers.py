"""Whose connections are served."""

import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.console.peers import is_own, uid_of
from tests.console.client import Client

ROW = (
    "  0: 0100007F:{:04X} 0100007F:{:04X} 01 00000000:00000000 00:00000000 00000000  {}        0 1234 1 0 20 4 30 10 -1"
)
SIX = "  0: 00000000000000000000000001000000:{:04X} 00000000000000000000000001000000:{:04X} 01 0:0 00:0 0 {} 0 1 1 0 1"
PORTS = st.integers(1, 65_535)


@given(PORTS, PORTS, st.integers(0, 70_000), st.lists(st.tuples(PORTS, PORTS)))
def test_a_connection_is_whose_socket_has_its_ports_that_way_round(
    client: int, server: int, uid: int, others: list[tuple[int, int]]
) -> None:
    """Other connections, and the server's own end, don't count."""
    rows = [ROW.format(*other, 7) for other in others if other != (client, server)]
    assert uid_of(client, server, rows) is None
    assert uid_of(client, server, [*rows, SIX.format(client, server, uid)]) == uid
    assert uid_of(client, server, [*rows, ROW.format(client, server, uid)]) == uid


def test_a_connection_of_ours_is_ours() -> None:
    """The system's own table says so."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert is_own(client.getsockname()[1], server.getsockname()[1])


@pytest.mark.slow
@pytest.mark.xdist_group("console")
def test_another_user_can_not_keep_the_owner_out(client: Client) -> None:
    """Their connections are ended at once, however many they make; the owner's calls go on."""
    if os.getuid() != 0:
        pytest.skip("takes root, to be somebody else")
    code = (
        "import os, socket, sys, encodings.idna\n"
        "os.setuid(65534)\n"
        "held = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) for _ in range(150)]\n"
        "for one in held:\n"
        "    one.settimeout(10)\n"
        "    try:\n"
        "        got = one.recv(1)\n"
        "    except ConnectionResetError:\n"
        "        got = b''\n"
        "    assert got == b''\n"
    )
    subprocess.run([sys.executable, "-c", code, str(client.port)], check=True, timeout=60)
    assert client.state()["locked"] is False
