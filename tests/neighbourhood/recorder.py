"""A TCP relay that keeps every byte a device sends, connection by connection, and can be cut."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Conversation:
    """What one connection carried: `sent` by the device, `answered` by the server."""

    sent: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)


class Recorder:
    """Relays 127.0.0.1:`port` to the server's port."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.conversations: list[Conversation] = []
        self._open: list[socket.socket] = []
        self._refusing = False
        self._stopping = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def sent(self) -> bytes:
        """All that was sent, over all connections."""
        return b"".join(bytes(one.sent) for one in self.conversations)

    def cut(self) -> None:
        """Break off every connection and refuse new ones, until `mend`."""
        self._refusing = True
        for one in self._open:
            _shut(one)

    def mend(self) -> None:
        """Relay again."""
        self._refusing = False

    def close(self) -> None:
        """End, and wait for the threads."""
        self._stopping = True
        self.cut()
        _shut(self._listener)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing or self._stopping:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._server_port))
            conversation = Conversation()
            self.conversations.append(conversation)
            self._open += [client, server]
            for source, target, kept in ((client, server, conversation.sent), (server, client, conversation.answered)):
                thread = threading.Thread(target=_relay, args=(source, target, kept), daemon=True)
                self._threads.append(thread)
                thread.start()


def _relay(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    try:
        while data := source.recv(65_536):
            kept += data
            target.sendall(data)
    except OSError:
        pass
    _shut(source)
    _shut(target)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is gone already
        one.shutdown(socket.SHUT_RDWR)
