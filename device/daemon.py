"""The daemon of one camera or doorbell: the composition root, where video, vault, consent and link are joined.

It faces the network and holds no secret that opens a clip: footage is sealed to the owner's public key as it is made.

    film thread -> keeper thread -> clip ring, state and outbox -> home link -> MQTT
    the public log and its mirrors -> log reader -> follower, at times of its own
    MQTT -> neighbourhood link -> mailbox -> docket, right after that
    control socket -> desk -> courier -> the one door

What ends the daemon: a broken state, a fault of our own. What makes one of its loops wait, and is told as a problem: a
full disk, a busy state. What is only counted: messages that don't verify.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

from broker.wire.rules import DAY_US
from device import keeper, link
from device.asked import Asked, join_neighbourhood
from device.clockwatch import ClockWatch, Reading
from device.consent.deletions import SCHEMA as DELETIONS
from device.consent.docket import DeviceView
from device.consent.errors import ConsentError
from device.consent.mutes import SCHEMA as MUTES
from device.consent.reading.tables import SCHEMA as READING
from device.consent.requests import SCHEMA as REQUESTS
from device.control import SOCKET_NAME, ControlError, ControlServer
from device.eventlog import EventLog
from device.health import Vitals
from device.names import CLIPS_NAME, KEY_NAME, OUTGOING_NAME, STATE_NAME
from device.operations import make_operations
from device.parts import film_settings, make_links, tells_reviews
from device.pinned import owner_public
from device.privacy import PrivacySwitch
from device.settings import DeviceSettings, SettingsError
from device.ticks import ticks
from device.vault.clipring import ClipRing
from device.vault.errors import VaultError
from device.vault.keys import DeviceKey
from device.vault.ledger import Ledger
from device.vault.seals import CaptureChain
from device.vault.state import State
from device.video.errors import SourceError, VideoError
from device.video.film import Film
from device.video.source.capture import parse_source

log = structlog.get_logger()

VERSION = version("latchstring")
HEALTH_EVERY_S = 10.0
BELIEVED = "clock.believed_us"
FILM_ENDS_S = 10.0
FIRST_PICTURE_S = 3.0
DRAIN_S = 1.5
SCHEMAS = (keeper.SCHEMA, REQUESTS, DELETIONS, MUTES, READING, link.SCHEMA)
REFUSALS = (ConsentError, VaultError, VideoError, ControlError, SettingsError)


def system_now_us() -> int:
    """Return the machine's clock."""
    return time.time_ns() // 1_000


def new_event_id() -> str:
    """Return a UUID version 7: ids sort by time, and say nothing else."""
    stamp = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    rest = bytearray(os.urandom(10))
    rest[0] = rest[0] & 0x0F | 0x70
    rest[2] = rest[2] & 0x3F | 0x80
    text = (stamp + bytes(rest)).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Daemon:
    """One device. `run` serves until SIGINT or SIGTERM, or raises what it can't go on with."""

    def __init__(self, home: Path, settings: DeviceSettings, *, now_us: Callable[[], int] = system_now_us) -> None:
        """Open everything; raises VaultError, SettingsError or VideoError with one line each."""
        self._home = home
        self._settings = settings
        self._now_us = now_us
        self._stop = asyncio.Event()
        self._failure: Exception | None = None
        self._filming = False
        self._loop = asyncio.get_running_loop()
        self._outgoing = home / OUTGOING_NAME
        self._outgoing.mkdir(mode=0o700, exist_ok=True)
        self._key = DeviceKey.load(home / KEY_NAME)
        self._owner = owner_public(home / settings.owner_file)
        name, storage = settings.device.name, settings.storage
        self._state = State.open(home / STATE_NAME, schemas=SCHEMAS)
        last = self._state.get_meta(BELIEVED)
        self._clock = ClockWatch(self._read_clocks(), last_us=None if last is None else int(last))
        self._ring = ClipRing(
            home / CLIPS_NAME,
            self._state,
            device=name,
            max_bytes=storage.max_bytes,
            max_age_s=storage.max_age_days * 86_400,
            pinned_share=storage.pinned_share,
            clock=self.believed_us,
        )
        self._events = EventLog(self._state)
        self._ledger = Ledger(self._state, self._key)
        self._view = DeviceView(
            name=name,
            key=self._key.public,
            camera=keeper.CAMERA,
            kind=settings.device.kind,
            where=settings.where,
            owner_key=self._owner.verify_key,
        )
        self._asked: Asked | None = None
        if settings.neighbourhood is not None:
            self._asked = join_neighbourhood(
                settings.neighbourhood,
                settings=settings,
                home=home,
                state=self._state,
                ring=self._ring,
                ledger=self._ledger,
                view=self._view,
                now_us=now_us,
                believed_us=self.believed_us,
            )
        self._mailbox = link.request_mailbox()
        self._retained = link.RetainedTable()
        expect = settings.home is not None and settings.home.expect_receipts
        self._outbox = link.Outbox(self._state, limits=link.OutboxLimits(), expect_receipts=expect)
        self._links = make_links(
            home,
            settings,
            outbox=self._outbox,
            retained=self._retained,
            mailbox=self._mailbox,
            set_privacy=self._privacy_asked,
        )
        self._reporter = link.Reporter(
            link.DeviceCard(device=name, name=name.replace("-", " "), kind=settings.device.kind, version=VERSION),
            outbox=self._outbox,
            retained=self._retained,
            wake=self._wake_links,
            tell_reviews=tells_reviews(settings),
            discoverable=settings.home is not None and settings.home.home_assistant,
        )
        self._keeper = keeper.Keeper(
            recipient=self._owner.recipient,
            state=self._state,
            ring=self._ring,
            chain=CaptureChain(self._state, self._key, device=name, camera=keeper.CAMERA),
            reporter=self._reporter,
            on_failure=self._keeper_failed,
            max_age_us=int(storage.max_age_days * DAY_US),
        )
        self._spec = parse_source(settings.camera.source, base=home)
        self._film = Film(
            self._spec,
            settings=film_settings(settings, home=home),
            new_id=new_event_id,
            sink=self._keeper.sink,
        )
        self._vitals = Vitals(
            device=name,
            kind=settings.device.kind,
            simulated=self.simulated,
            events=self._events,
            ring=self._ring,
            film=self._film,
            keeper=self._keeper,
            outbox=self._outbox,
            links=self._links,
            mailbox=self._mailbox,
            asked=self._asked,
        )
        self._privacy = PrivacySwitch(self._state, film=self._film, reporter=self._reporter, pauses=self._vitals.pauses)

    @property
    def doing(self) -> str:
        """What it does, in words; the camera's source without a password."""
        why = self._keeper.counters.source_lost
        if why and self._spec.live:
            return f"can't see {self._spec.shown} ({why}), and tries again"
        return f"films {self._spec.shown}"

    @property
    def private(self) -> bool:
        """Whether privacy is on."""
        return self._privacy.on

    @property
    def simulated(self) -> bool:
        """Whether it films a drawn scene."""
        return self._spec.kind == "scene"

    async def run(self, *, on_ready: Callable[[], None] = lambda: None) -> None:
        """Film, tell, and serve the owner's tools."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._stop.set)
        operations = make_operations(
            controls=self,
            asked=self._asked,
            ring=self._ring,
            events=self._events,
            ledger=self._ledger,
            device=self._view,
            device_key=self._key,
            outgoing=self._outgoing,
        )
        if self._asked is not None:
            # Before anybody can approve: what lies ready now and is not to be sent never will be.
            await asyncio.to_thread(self._asked.courier.forget_leftovers)
        server = ControlServer(self._home / SOCKET_NAME, operations, refusals=REFUSALS)
        try:
            async with server.running():
                self._privacy.begin()
                self._keeper.start(now_us=self._now_us())
                self._film.start()
                self._filming = True
                await self._first_picture()
                log.info("device_ready", device=self._view.name, kind=self._view.kind)
                on_ready()
                await self._serve()
        finally:
            await asyncio.to_thread(self._close)

    async def _first_picture(self) -> None:
        """Wait until it films, or tell why a file or scene can't be used. A camera may come later."""
        until = time.monotonic() + FIRST_PICTURE_S
        while time.monotonic() < until:
            film, why = self._film.health(), self._keeper.counters.source_lost
            if film.frames or film.state in {"lost", "ended", "private"}:
                return
            if film.state == "failed" and why and not self._spec.live:
                raise SourceError(source=self._spec.shown, reason=why)
            await asyncio.sleep(0.02)

    async def status(self) -> dict[str, Any]:
        """Return how everything is, for the owner's tools."""
        return await asyncio.to_thread(self._vitals.status, private=self._privacy.on)

    async def set_privacy(self, on: bool) -> None:
        """Stop filming at once, or resume it once that is kept."""
        await self._privacy.throw(on)

    def ring(self) -> None:
        """Ring the bell."""
        self._film.ring()

    def stir(self) -> None:
        """Act as if something moved."""
        self._film.stir()

    def approved(self) -> None:
        """Begin to send what was approved."""
        if self._asked is not None:
            self._asked.courier.wake()

    def sent_bytes(self, leaf: str) -> int | None:
        """Return how much of a request's bundle the inbox has, if it is on its way."""
        return None if self._asked is None else self._asked.courier.sent.get(leaf)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run(), name=f"link-{one.address}") for one in self._links]
            tasks.append(group.create_task(self._every(HEALTH_EVERY_S, "health", self._report), name="health"))
            if self._asked is not None:
                tasks.append(group.create_task(self._ask_and_carry(self._asked), name="requests"))
            await self._stop.wait()
            await asyncio.to_thread(self._end_film)
            await self._drain()
            for task in tasks:
                task.cancel()
        if self._failure is not None:
            raise self._failure

    async def _ask_and_carry(self, asked: Asked) -> None:
        async def look() -> None:
            await asked.look(self._mailbox)

        try:
            # What was withdrawn while we were off is learnt before what was approved then goes on.
            await asyncio.sleep(asked.every_s)
            await self._attempt("requests", look)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._every(asked.every_s, "requests", look), name="docket")
                group.create_task(asked.courier.run(), name="courier")
        finally:
            await asked.files.aclose()

    async def _every(self, interval_s: float, name: str, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step at fixed times: neither what came in between nor what was found in it shows in when."""
        async for _ in ticks(interval_s):
            await self._attempt(name, step)

    async def _attempt(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        # A recorder outlives a full disk and a state that is busy: it says so, and goes on at the next time.
        try:
            await step()
        except (VaultError, ConsentError) as error:
            log.warning("paused", what=name, error=str(error))
            self._vitals.pauses[name] = str(error)
        else:
            self._vitals.pauses.pop(name, None)

    def believed_us(self) -> int:
        """Return the time that deletes and closes: the wall clock, unless it has just leapt."""
        return self._clock.believed_us(self._read_clocks())

    def _read_clocks(self) -> Reading:
        return Reading(self._now_us(), time.monotonic_ns() // 1_000)

    async def _report(self) -> None:
        await asyncio.to_thread(self._tell_health)

    def _tell_health(self) -> None:
        self._reporter.health(self._vitals.health())
        self._reporter.reviews(self._vitals.waiting())
        self._ring.expire()
        with self._state.transaction() as tx:
            tx.set_meta(BELIEVED, str(self.believed_us()))

    async def _drain(self) -> None:
        # What was said last may go out still; what can't waits in the outbox for the next start.
        until = time.monotonic() + DRAIN_S
        while time.monotonic() < until and any(one.health.connected for one in self._links):
            if await asyncio.to_thread(lambda: self._outbox.stats().messages) == 0:
                return
            await asyncio.sleep(0.05)

    def _end_film(self) -> None:
        # The keeper goes on until the film has handed over its last.
        if self._filming:
            self._film.stop()
            self._film.join(FILM_ENDS_S)
        self._keeper.close()

    def _close(self) -> None:
        self._end_film()
        self._state.close()

    def _privacy_asked(self, on: bool) -> None:
        self._privacy.asked(on)

    def _wake_links(self) -> None:
        for one in self._links:
            one.wake()

    def _keeper_failed(self, error: Exception) -> None:
        self._failure = error
        self._loop.call_soon_threadsafe(self._stop.set)
