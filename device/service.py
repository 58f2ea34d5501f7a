"""The daemon's own process, `python -m device.service HOME`: what `latchstring device run` turns into.

A camera's process lives for months, beside others on a small machine. So it holds nothing of the command line, does
without what others would load for show, and has one heap for all its threads.
"""

import asyncio
import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from broker.plain import run_to_end, say
from device.video.dumps import forbid_dumps

M_ARENA_MAX = -8  # <malloc.h>
ORNAMENTS = ("rich", "click", "pygments", "greenlet")  # structlog and httpx load them where they happen to be there


def become_service(home: Path) -> NoReturn:
    """Replace this process, under the same number, by the daemon of a device's folder."""
    # -P: what lies in the folder that we happen to be in is not ours to import.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "device.service", str(home)])  # noqa: S606 - ourselves, no shell


def run_service(home: Path) -> None:
    """Film, seal, tell, and serve the owner's tools, until interrupted."""
    forbid_dumps()
    _share_one_heap()
    with _without(*ORNAMENTS):
        from broker import logs  # noqa: PLC0415 - they bring the ornaments along
        from device.daemon import Daemon  # noqa: PLC0415
        from device.settings import load_settings  # noqa: PLC0415

    logs.configure()
    settings = load_settings(home)

    async def serve() -> None:
        daemon = Daemon(home, settings)
        await daemon.run(on_ready=lambda: say(f"ready: {settings.device.name} {daemon.doing}"))

    asyncio.run(serve())


def user_errors() -> tuple[type[Exception], ...]:
    """Return the classes whose message is meant for the user."""
    from broker.wire.encoding import WireError  # noqa: PLC0415 - only when something went wrong
    from device.consent.errors import ConsentError  # noqa: PLC0415
    from device.control import ControlError  # noqa: PLC0415
    from device.link.errors import LinkError  # noqa: PLC0415
    from device.settings import SettingsError  # noqa: PLC0415
    from device.vault.errors import VaultError  # noqa: PLC0415
    from device.video.errors import VideoError  # noqa: PLC0415

    return (ConsentError, ControlError, LinkError, SettingsError, VaultError, VideoError, WireError)


def _share_one_heap() -> None:
    # glibc would give each thread a heap of its own, which keeps what it ever took; the interpreter's lock has threads
    # take turns anyway. Other C libraries have no such call.
    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    except (OSError, AttributeError):
        return


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Have Python find none of the packages for a while, as if they were not installed."""
    modules: dict[str, Any] = sys.modules  # None: how Python is told that a module is not there
    hidden = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]


if __name__ == "__main__":
    run_to_end(lambda: run_service(Path(sys.argv[1])), name="latchstring", user_errors=user_errors)
