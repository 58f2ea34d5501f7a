"""What stands between a device and the inbox: counts what goes through, and breaks off in the middle."""

import asyncio
import threading

from tests.link.proxy import Proxy


class _Cutting(Proxy):
    """A proxy that, once cut, stays cut."""

    def cut(self) -> None:
        self.refuse = True
        super().cut()


class Relay:
    """A proxy to a local port, in a thread of its own."""

    def __init__(self, target: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._proxy = _Cutting(target)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.__aenter__(), self._loop).result(10)

    @property
    def port(self) -> int:
        """Where to connect to."""
        return self._proxy.port

    @property
    def sent(self) -> int:
        """How many bytes the device has sent."""
        return self._proxy.sent

    @property
    def is_cut(self) -> bool:
        """Whether nothing goes through."""
        return self._proxy.refuse

    def cut_after(self, size: int) -> None:
        """Break off once so many more bytes were sent, and stay so until `mend`."""
        self._proxy.cut_after = size

    def mend(self) -> None:
        """Let everything through again."""
        self._proxy.cut_after = None
        self._proxy.refuse = False

    def close(self) -> None:
        """End."""
        asyncio.run_coroutine_threadsafe(self._proxy.__aexit__(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
