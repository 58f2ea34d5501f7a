"""The operator's process: MQTT broker, public log, feed and inbox joined, started and stopped together.

A folder holds all of it: what `founding` makes there, keys and public facts, `log/` (static files), `inbox/`, and
what can be made anew from the log.
"""

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
import structlog
from starlette.applications import Starlette

from broker import ask, feed, inbox, log
from broker.clock import system_now_us
from broker.facts import FACTS_NAME, Facts, read_facts
from broker.founding import facts_of, load_keys, load_panel
from broker.http import Server, share_descriptors
from broker.log.errors import LogError
from broker.log.history.entries import Revoked
from broker.outlet import Outlet, open_outlet
from broker.serving import listening, stopped_by_signals
from broker.settings import LogSection, NeighbourhoodSettings, SettingsError
from broker.wire.records import Agency, Request
from broker.wire.rules import DAY_US

__all__ = ["FACTS_NAME", "Facts", "read_facts", "run"]

logger = structlog.get_logger()

SWEEP_EVERY_S = 600.0
TELL_EVERY_S = 60.0

T = TypeVar("T")


async def run(
    folder: Path,
    settings: NeighbourhoodSettings,
    *,
    on_ready: Callable[[Facts], None],
    now_us: Callable[[], int] = system_now_us,
) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is told where, once everything listens."""
    keys, panel = load_keys(folder), load_panel(folder, settings.log)
    stop = asyncio.Event()
    connections = share_descriptors()
    with (
        listening(settings.http.host, settings.http.port, flag="--http-port") as sock,
        stopped_by_signals(stop),
    ):
        url = settings.http.url or f"http://{settings.http.host}:{sock.getsockname()[1]}"
        storage = _storage(folder, settings.log)
        sequencer = log.Sequencer(storage, key=keys.log, origin=settings.log.origin, panel=panel)
        async with (
            open_outlet(settings.mqtt, max_connections=connections) as outlet,
            httpx.AsyncClient(trust_env=False) as http,
            contextlib.AsyncExitStack() as stack,
        ):
            await _claim(storage, folder / "log")  # before the book, which is its writer's
            service = log.LogService(
                sequencer=sequencer,
                operator=keys.operator,
                publish=outlet.publish,
                now_us=now_us,
                book=log.Book(folder / "book.db"),
                journal=log.RefusalJournal(folder / "refusals.json"),
                url=url,
                http=http,
                timing=_timing(settings.log),
                answer_after_s=settings.log.answer_after_s,
            )
            await _start(service, folder / "log")
            stack.push_async_callback(service.close)
            limits = inbox.InboxLimits(keep_bundles_us=settings.inbox.keep_days * DAY_US)
            box = inbox.Inbox(folder / "inbox", key=keys.inbox, book=_Book(service), clock=now_us, limits=limits)
            static = feed.Static()
            asking = ask.routes(
                service.book,
                now_us=now_us,
                limits=service.limits,
                stylesheet=static.path("style.css"),
                icon=static.path("icon.svg"),
            )
            app = Starlette(
                routes=[*log.routes(service, storage), *inbox.routes(box), *asking, *feed.routes(service)],
                exception_handlers={404: feed.nowhere(service)},
            )
            facts = facts_of(keys, panel, settings, url=url, mqtt_port=outlet.port)
            await _serve(
                app,
                sock,
                service=service,
                outlet=outlet,
                box=box,
                stop=stop,
                ready=lambda: _ready(facts, folder, on_ready),
            )


def _storage(folder: Path, section: LogSection) -> log.Storage:
    if not section.store:
        return log.FolderStorage(folder / "log")
    from broker.log.storage.s3 import ObjectOptions, open_storage  # noqa: PLC0415 - for those alone who keep their log there

    return open_storage(section.store, ObjectOptions(endpoint=section.store_endpoint, region=section.store_region))


def _timing(section: LogSection) -> log.CosignTiming:
    return log.CosignTiming(ask_s=section.cosign_within_s, again_every_s=section.recosign_every_s)


async def _claim(storage: log.Storage, folder: Path) -> None:
    try:
        await asyncio.to_thread(storage.claim)
    except OSError as error:
        raise SettingsError(f"{error.filename or folder} can't be used: {error.strerror}") from error


async def _start(service: log.LogService, folder: Path) -> None:
    try:
        await service.start()
    except OSError as error:
        raise SettingsError(f"{error.filename or folder} can't be used: {error.strerror}") from error


def _ready(facts: Facts, folder: Path, on_ready: Callable[[Facts], None]) -> None:
    facts.write(folder)
    gc.collect()
    gc.freeze()  # what is there now stays: a page need not wait until it was looked through again
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
            tasks.create_task(_tell_deletions(box, service), name="deletions"),
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


async def _tell_deletions(box: inbox.Inbox, service: log.LogService) -> None:
    """Have the log say how many asked for deletion: this is all that the inbox ever tells it.

    An inbox that is run apart from a log keeps its notices for the agencies, and nobody logs them.
    """
    while True:
        try:
            await service.tell_deletions(box.deletions.taken())
        except (LogError, OSError) as error:
            logger.warning("deletions_not_logged", error=str(error))
        await asyncio.sleep(TELL_EVERY_S)


class _Book:
    """The log's book as the inbox asks it, from threads of its own; the book is the event loop's, and asked there."""

    def __init__(self, service: log.LogService) -> None:
        self._book = service.book
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def open_request(self, leaf: str, now_us: int) -> tuple[Request, Agency] | None:
        return self._ask(lambda: self._open(leaf, now_us))

    def known_request(self, leaf: str) -> tuple[Request, Agency] | None:
        return self._ask(lambda: self._known(leaf))

    def closes_us(self, leaf: str) -> int | None:
        return self._ask(lambda: self._closes_us(leaf))

    def _open(self, leaf: str, now_us: int) -> tuple[Request, Agency] | None:
        known = self._known(leaf)
        return known if known is not None and self._book.status(leaf, now_us) == "open" else None

    def _known(self, leaf: str) -> tuple[Request, Agency] | None:
        posted = self._book.request(leaf)
        if posted is None:
            return None
        current = self._book.agency(posted.request.agency)
        return None if current is None else (posted.request, current.agency)

    def _closes_us(self, leaf: str) -> int | None:
        posted = self._book.request(leaf)
        if posted is None:
            return None
        closed = [said.update.at for said in self._book.updates_of(leaf) if said.update.kind != "answered"]
        standing = self._book.standing(posted.request.agency)
        revoked = [one.revocation.at for one in standing if isinstance(one, Revoked) and one.index > posted.index]
        return min([posted.request.expires_at, *closed, *revoked])

    def _ask(self, question: Callable[[], T]) -> T:
        if threading.get_ident() == self._thread:
            return question()

        async def asked() -> T:
            return question()

        return asyncio.run_coroutine_threadsafe(asked(), self._loop).result()
