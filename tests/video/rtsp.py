"""A camera to meet over the network: a real RTSP server as a child process, and a network that can be bent between."""

import json
import os
import selectors
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DEBIAN_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).with_name("rtsp_server.py")
_START_S = 20
H264 = "rtph264pay name=pay0 pt=96 config-interval=-1"


def need_gst() -> None:
    """Skip the test where Debian's gst-rtsp-server is not installed; in CI that is a failure."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        subprocess.run([DEBIAN_PYTHON, "-c", probe], check=True, capture_output=True, timeout=_START_S)
    except (OSError, subprocess.SubprocessError):
        if os.environ.get("CI"):
            pytest.fail("gir1.2-gst-rtsp-server-1.0 is not installed, and CI must run this test")
        pytest.skip("gir1.2-gst-rtsp-server-1.0 is not installed")


def pattern(
    *,
    size: tuple[int, int] = (320, 240),
    fps: int = 15,
    coder: str = "x264enc tune=zerolatency sliced-threads=0 key-int-max=15",
    pay: str = H264,
    shape: str = "ball",
) -> str:
    """A GStreamer bin that films a test pattern in real time."""
    raw = f"video/x-raw,format=I420,width={size[0]},height={size[1]},framerate={fps}/1"
    return f"( videotestsrc is-live=1 pattern={shape} ! {raw} ! {coder} ! {pay} )"


class Server:
    """A running server with a bin for each path. `change` sets a property of a named element while it plays."""

    def __init__(self, mounts: dict[str, str], *, login: str | None = None, port: int = 0) -> None:
        said = json.dumps({"mounts": mounts, "login": login, "port": port})
        self._process = subprocess.Popen(
            [DEBIAN_PYTHON, str(_SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._tell(said)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def url(self, path: str = "/s", *, login: str | None = None, port: int | None = None) -> str:
        """The address of a path, by way of another port if asked."""
        return f"rtsp://{login + '@' if login else ''}127.0.0.1:{port or self.port}{path}"

    def change(self, element: str, key: str, value: str) -> None:
        """Set a property."""
        self._tell(f"{element} {key} {value}")

    def freeze(self) -> None:
        """Stop the process where it stands; its sockets stay open and say nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


@contextmanager
def serving(mounts: dict[str, str] | str, *, login: str | None = None, port: int = 0) -> Iterator[Server]:
    """A server for as long as it is needed."""
    server = Server({"/s": mounts} if isinstance(mounts, str) else mounts, login=login, port=port)
    try:
        yield server
    finally:
        server.kill()


Bend = Callable[[bytearray], bytes | None]
Reword = Callable[[bytes], bytes]


class Network:
    """What lies between a camera and us over TCP: it passes on, cuts, stalls, or bends each RTP packet.

    `bend` gets an RTP packet of the picture channel (its header first) and returns what goes on, or None for nothing;
    `reword` gets what the server says in words, and keeps its length. `channels` tells on which RTP and RTCP came.
    """

    def __init__(self, port: int, *, bend: Bend | None = None, reword: Reword | None = None) -> None:
        self._to = port
        self.reword = reword
        self.channels: set[int] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.bend = bend
        self.stalled = False
        self._ways: list[tuple[socket.socket, socket.socket]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Break all connections."""
        for way in self._ways:
            for end in way:
                # The other end reads an end of file, whoever else is in the middle of a read.
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
        self._ways.clear()

    def close(self) -> None:
        """Break all, and listen no more."""
        self._over.set()
        self.cut()
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._over.is_set():
                if not selector.select(0.05):
                    continue
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._ways.append((near, far))
                threading.Thread(target=self._pass, args=(near, far, None), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, _Interleaved(self)), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, bent: "_Interleaved | None") -> None:
        with source, target:
            try:
                while data := source.recv(65_536):
                    while self.stalled and not self._over.wait(0.01):
                        pass
                    target.sendall(bent.take(data) if bent is not None else data)
            except OSError:
                return


class _Interleaved:
    """Finds RTP packets within an RTSP connection (RFC 2326, 10.12): a dollar, a channel, a length, the packet."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._buffer = bytearray()

    def take(self, data: bytes) -> bytes:
        """Bytes as they came; bytes as they go on."""
        self._buffer += data
        out = bytearray()
        while self._buffer:
            if self._buffer[0] != ord("$"):
                end = self._buffer.find(b"\r\n\r\n")
                if end < 0:
                    break
                end += 4 + _content_length(bytes(self._buffer[:end]))
                if len(self._buffer) < end:
                    break
                said = bytes(self._buffer[:end])
                out += said if self._network.reword is None else self._network.reword(said)
                del self._buffer[:end]
                continue
            end = 4 + int.from_bytes(self._buffer[2:4])
            if len(self._buffer) < max(end, 5):
                break
            packet = bytearray(self._buffer[4:end])
            self._network.channels.add(self._buffer[1])
            bend = self._network.bend
            gone = bend(packet) if bend is not None and self._buffer[1] == 0 else packet
            if gone is not None:
                out += self._buffer[:2] + len(gone).to_bytes(2) + gone
            del self._buffer[:end]
        return bytes(out)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


@contextmanager
def network(server: Server, *, bend: Bend | None = None, reword: Reword | None = None) -> Iterator[Network]:
    """A way to a server, for as long as it is needed."""
    between = Network(server.port, bend=bend, reword=reword)
    try:
        yield between
    finally:
        between.close()
