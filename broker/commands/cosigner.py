"""What `latchstring witness` and `latchstring mirror` share: which logs they know, where they listen, how they end."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import structlog
from cyclopts import Parameter
from starlette.applications import Starlette

from broker.facts import Facts, read_facts
from broker.http import Server, share_descriptors
from broker.log.witness.answer import LogKeys
from broker.log.witness.identity import Identity, create_identity
from broker.serving import listening, stopped_by_signals
from broker.settings import SettingsError
from broker.terminal import say
from broker.wire.cosigning import Kind, mirror_prefix
from broker.wire.notes import VerifierKey
from broker.wire.proofs import parse_policy

logger = structlog.get_logger()

Folder = Annotated[Path, Parameter(name="--dir", help="Where the key and what must not be forgotten are kept.")]
Name = Annotated[str, Parameter(help="Its name, such as witness.example.org; it can't be changed later.")]
Url = Annotated[str, Parameter(help="Where it is reached, such as http://127.0.0.1:8090.")]
Neighbourhoods = Annotated[
    Sequence[Path],
    Parameter(name="--neighbourhood", negative="", help="A log's neighbourhood.json; may be repeated."),
]
Host = Annotated[str, Parameter(help="The address to listen on.")]
Port = Annotated[int | None, Parameter(help="The port to listen on; 0 takes a free one. Else the URL's.")]

_DEFAULT_PORTS = {"http": 80, "https": 443}


def init(folder: Path, *, kind: Kind, name: str, url: str) -> None:
    """Make key and `cosigner.json`, and say what to do with it."""
    identity = create_identity(folder, kind=kind, name=name, url=url)
    say(f"{kind} {identity.name}: {identity.key}", f"give the operator {folder / 'cosigner.json'}")


def read_logs(paths: Sequence[Path]) -> dict[str, Facts]:
    """Return the facts of each log by its origin; raises SettingsError."""
    found: dict[str, Facts] = {}
    for path in paths:
        facts = read_facts(path)
        if facts.origin in found:
            raise SettingsError(f"{path}: the log {facts.origin} is named by another --neighbourhood already")
        found[facts.origin] = facts
    return found


def log_keys(logs: dict[str, Facts]) -> LogKeys:
    """Return the keys that are pinned for each log."""
    keys: dict[str, list[VerifierKey]] = {}
    for origin, facts in logs.items():
        keys[origin] = [key for key in parse_policy(facts.policy).logs if key.name == origin]
        if not keys[origin]:
            raise SettingsError(f"the policy of {origin} names no key of that log")
    return keys


def serve(
    app: Starlette,
    identity: Identity,
    *,
    host: str,
    port: int | None,
    beside: Sequence[Coroutine[Any, Any, None]] = (),
    copies: Sequence[str] = (),
) -> None:
    """Serve until SIGINT or SIGTERM, and run `beside` meanwhile; says where once it listens. Raises SettingsError.

    `copies` are the origins of the logs that are served below the address.
    """
    given = urlsplit(identity.url)
    wanted = port if port is not None else given.port or _DEFAULT_PORTS[given.scheme]
    asyncio.run(_serve(app, identity, host=host, port=wanted, beside=beside, copies=copies))


async def _serve(
    app: Starlette,
    identity: Identity,
    *,
    host: str,
    port: int,
    beside: Sequence[Coroutine[Any, Any, None]],
    copies: Sequence[str],
) -> None:
    stop = asyncio.Event()
    share_descriptors()
    server = Server(app)
    with contextlib.ExitStack() as unstarted:
        for one in beside:
            unstarted.callback(one.close)  # harmless once it has ended
        with listening(host, port, flag="--port") as sock, stopped_by_signals(stop):
            async with asyncio.TaskGroup() as tasks:
                until_stop = [tasks.create_task(one) for one in beside]
                tasks.create_task(server.serve(sockets=[sock]), name="http")
                await server.listening.wait()
                at = f"http://{host}:{sock.getsockname()[1]}"
                logger.info("cosigner_ready", kind=identity.kind, name=identity.name, at=at)
                at_each = "".join(f"  log {mirror_prefix(at, origin)}" for origin in copies)
                say(f"ready: {identity.kind} {identity.name} {at}{at_each}")
                await stop.wait()
                server.should_exit = True
                for task in until_stop:
                    task.cancel()
