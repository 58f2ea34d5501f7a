"""The operator's process: MQTT broker, public log, feed and inbox joined, started and stopped together.

A folder holds all of it: `operator.key`, `log.key` and `inbox.key` (made on first use), `log/` (static files),
`inbox/`, and `neighbourhood.json`, the public facts from which devices and agencies are set up.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from starlette.applications import Starlette

from broker import feed, inbox, log
from broker.clock import system_now_us
from broker.facts import FACTS_NAME, Facts, read_facts
from broker.http import Server, share_descriptors
from broker.keyfiles import load_or_create_signing_key
from broker.outlet import Outlet, open_outlet
from broker.settings import NeighbourhoodSettings, SettingsError
from broker.wire.encoding import to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.proofs import make_policy
from broker.wire.records import Agency, Request

__all__ = ["FACTS_NAME", "Facts", "read_facts", "run"]

logger = structlog.get_logger()

SWEEP_EVERY_S = 600.0
DAY_US = 24 * 3_600 * 1_000_000


async def run(
    folder: Path,
    settings: NeighbourhoodSettings,
    *,
    on_ready: Callable[[Facts], None],
    now_us: Callable[[], int] = system_now_us,
) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is told where, once everything listens."""
    operator_key = load_or_create_signing_key(folder / "operator.key")
    log_key = load_or_create_signing_key(folder / "log.key")
    inbox_key = load_or_create_signing_key(folder / "inbox.key")
    stop = asyncio.Event()
    connections = share_descriptors()
    with _listening(settings) as sock, _signals(stop):
        url = settings.http.url or f"http://{settings.http.host}:{sock.getsockname()[1]}"
        storage = log.FolderStorage(folder / "log")
        sequencer = log.Sequencer(storage, key=log_key, origin=settings.log.origin)
        async with (
            open_outlet(settings.mqtt, max_connections=connections) as outlet,
            contextlib.AsyncExitStack() as stack,
        ):
            service = log.LogService(
                sequencer=sequencer,
                operator_key=public_bytes(operator_key),
                publish=outlet.publish,
                now_us=now_us,
                url=url,
            )
            await _start(service, folder / "log")
            stack.push_async_callback(service.close)
            limits = inbox.InboxLimits(keep_bundles_us=settings.inbox.keep_days * DAY_US)
            box = inbox.Inbox(folder / "inbox", key=inbox_key, book=_Book(service), clock=now_us, limits=limits)
            app = Starlette(routes=[*log.routes(service, storage), *inbox.routes(box), *feed.routes(service)])
            facts = Facts(
                origin=settings.log.origin,
                policy=make_policy(sequencer.verifier),
                operator_key=to_base64(public_bytes(operator_key)),
                inbox_key=to_base64(public_bytes(inbox_key)),
                url=url,
                mqtt_host=settings.mqtt.public_host or settings.mqtt.host,
                mqtt_port=outlet.port,
                mqtt_tls=settings.mqtt.tls,
            )
            await _serve(
                app,
                sock,
                service=service,
                outlet=outlet,
                box=box,
                stop=stop,
                ready=lambda: _ready(facts, folder, on_ready),
            )


async def _start(service: log.LogService, folder: Path) -> None:
    try:
        await service.start()
    except OSError as error:
        raise SettingsError(f"{error.filename or folder} can't be used: {error.strerror}") from error


def _ready(facts: Facts, folder: Path, on_ready: Callable[[Facts], None]) -> None:
    facts.write(folder)
    logger.info("neighbourhood_ready", url=facts.url, mqtt_port=facts.mqtt_port, origin=facts.origin)
    on_ready(facts)


async def _serve(
    app: Starlette,
    sock: socket.socket,
    *,
    service: log.LogService,
    outlet: Outlet,
    box: inbox.Inbox,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    server = Server(app)
    async with asyncio.TaskGroup() as tasks:
        until_stop = [
            tasks.create_task(outlet.run(service.announcer.reconnected), name="mqtt-outlet"),
            tasks.create_task(service.run(), name="announcer"),
            tasks.create_task(_sweep(box), name="inbox-sweep"),
        ]
        tasks.create_task(server.serve(sockets=[sock]), name="http")
        await server.listening.wait()
        ready()
        await stop.wait()
        server.should_exit = True
        for task in until_stop:
            task.cancel()


async def _sweep(box: inbox.Inbox) -> None:
    """Forget uploads that were begun and left, and let bundles go whose time is over."""
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        try:
            await asyncio.to_thread(box.sweep)
        except inbox.InboxError as error:  # a disk that fails is no reason to stop log and feed
            logger.warning("sweep_failed", error=str(error))


class _Book:
    """The log's book as the inbox asks it."""

    def __init__(self, service: log.LogService) -> None:
        self._book = service.book

    def open_request(self, leaf: str, now_us: int) -> tuple[Request, Agency] | None:
        known = self.known_request(leaf)
        return known if known is not None and self._book.status(leaf, now_us) == "open" else None

    def known_request(self, leaf: str) -> tuple[Request, Agency] | None:
        posted = self._book.request(leaf)
        if posted is None:
            return None
        current = self._book.agency(posted.request.agency)
        return None if current is None else (posted.request, current.agency)

    def closes_us(self, leaf: str) -> int | None:
        posted = self._book.request(leaf)
        if posted is None:
            return None
        return min([posted.request.expires_at, *(said.update.at for said in self._book.updates_of(leaf))])


@contextlib.contextmanager
def _listening(settings: NeighbourhoodSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.http.host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((settings.http.host, settings.http.port))
        except OSError as error:
            where = f"{settings.http.host}:{settings.http.port}"
            raise SettingsError(f"can't listen on {where}: {error.strerror}; choose another --http-port") from error
        yield sock


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
