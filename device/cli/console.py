"""`latchstring console`: the owner's page, on this machine alone."""

import contextlib
import errno
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from broker import logs
from broker.terminal import say
from device.console.household import find_household
from device.console.supervisor import SessionMemory, Supervisor
from device.vault.disk import read_secret
from device.vault.keys import KEY_FORMAT

from .errors import CommandError

DEFAULT_PORT = 8440


def console(
    *,
    home: Annotated[
        list[Path], Parameter(help="A device's folder, or one that holds several. May be repeated.", negative="")
    ],
    owner_key: Annotated[Path, Parameter(help="Your owner.key.json.")],
    port: Annotated[int, Parameter(help="Port on the loopback; 0 takes a free one.")] = DEFAULT_PORT,
    lock_after_min: Annotated[float, Parameter(help="Lock after so many minutes without use.")] = 10.0,
) -> None:
    """Open the owner's page: see who asks, see what they would get, decide.

    It prints a link that works once. The page is on this machine alone; it locks when you close it, when you don't use
    it for a while, and by a button. Nothing is opened before you unlock it there with your passphrase or a passkey.
    """
    logs.configure()
    if KEY_FORMAT.encode() not in read_secret(owner_key):
        raise CommandError(f"{owner_key} is no owner's key file; 'latchstring owner init' makes one")
    if not 0 < lock_after_min <= 24 * 60:
        raise CommandError("--lock-after-min is more than 0 and at most 1440")
    household = find_household(home)
    # Nothing here is worth a thread, and without one this process can be forked soundly.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from device.console.app import ConsoleSettings, print_link, run_cell  # noqa: PLC0415 - after that

    with contextlib.ExitStack() as stack:
        listeners = _listen(port, stack)
        settings = ConsoleSettings(household, owner_key, listeners[0].getsockname()[1], lock_after_min * 60)
        memory = SessionMemory()
        print_link(settings, memory)
        say("The link works once, within five minutes; press Enter for another. Ctrl-C ends the console.")
        supervisor = Supervisor(listeners, memory, lambda socks, kept: run_cell(settings, socks, kept))
        sys.exit(supervisor.run())


def _listen(port: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Listen on both loopback addresses: a browser may take either for localhost, and no other program may have one."""
    first = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    _bind(first, "127.0.0.1", port)
    try:
        second = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
        second.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _bind(second, "::1", first.getsockname()[1])
    except OSError as error:
        if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
            raise
        return [first]  # a machine without IPv6
    return [first, second]


def _bind(listener: socket.socket, host: str, port: int) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise
        raise CommandError(f"can't listen on {host}, port {port}: {error.strerror}; choose another --port") from error
    except OverflowError as error:
        raise CommandError(f"{port} is no port; choose another --port") from error
