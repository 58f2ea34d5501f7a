"""The daemon of one camera or doorbell: the composition root, where video, vault, consent and link are joined.

It faces the network and holds no secret that opens a clip: footage is sealed to the owner's public key as it is made.

    film thread -> keeper thread -> clip ring, state and outbox -> home link -> MQTT
    MQTT -> neighbourhood link -> mailbox -> desk, at ticks of its own
    control socket -> desk -> uploads -> the one door
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import structlog

from broker.wire.encoding import from_base64
from broker.wire.envelopes import KEY_BYTES
from broker.wire.geo import cell_of
from broker.wire.rules import DAY_US
from device import keeper, link
from device.consent.desk import DeviceView, RequestDesk, waiting
from device.consent.errors import ConsentError
from device.consent.policy import HouseholdPolicy
from device.consent.requests import SCHEMA as REQUESTS
from device.consent.requests import StoredRequest
from device.consent.trust import Trust
from device.control import SOCKET_NAME, ControlError, ControlServer
from device.link.links import request_subscriptions
from device.operations import make_operations
from device.parts import (
    RingShelf,
    broker_address,
    film_settings,
    may_be_one_broker,
    owner_public,
    pinned_policy,
    requests_in,
)
from device.settings import DeviceSettings, NeighbourhoodSection, SettingsError
from device.vault.clipring import ClipRing
from device.vault.errors import VaultError
from device.vault.keys import DeviceKey
from device.vault.ledger import Ledger
from device.vault.seals import CaptureChain
from device.vault.state import State
from device.video.capture import parse_source
from device.video.errors import VideoError
from device.video.film import Film

log = structlog.get_logger()

VERSION = "0.1.0"
STATE_NAME = "state.db"
CLIPS_NAME = "clips"
OUTGOING_NAME = "outgoing"
KEY_NAME = "device.key"
HEALTH_EVERY_S = 10.0
UPLOAD_AGAIN_S = 30.0
DRAIN_S = 1.5
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
        self._loop = asyncio.get_running_loop()
        self._sending = asyncio.Event()
        self._sent: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._outgoing = home / OUTGOING_NAME
        self._outgoing.mkdir(mode=0o700, exist_ok=True)
        self._key = DeviceKey.load(home / KEY_NAME)
        self._owner = owner_public(home / settings.owner_file)
        name, storage = settings.device.name, settings.storage
        self._state = State.open(home / STATE_NAME, schemas=[keeper.SCHEMA, REQUESTS, link.SCHEMA])
        self._ring = ClipRing(
            home / CLIPS_NAME,
            self._state,
            device=name,
            max_bytes=storage.max_bytes,
            max_age_s=storage.max_age_days * 86_400,
            pinned_share=storage.pinned_share,
            clock=now_us,
        )
        self._ledger = Ledger(self._state, self._key)
        self._view = DeviceView(
            name=name,
            key=self._key.public,
            camera=keeper.CAMERA,
            kind=settings.device.kind,
            where=settings.where,
            owner_key=self._owner.verify_key,
        )
        self._desk = self._make_desk(settings.neighbourhood)
        self._mailbox = link.request_mailbox()
        self._retained = link.RetainedTable()
        expect = settings.home is not None and settings.home.expect_receipts
        self._outbox = link.Outbox(self._state, limits=link.OutboxLimits(), expect_receipts=expect)
        self._links = self._make_links()
        self._reporter = link.Reporter(
            link.DeviceCard(device=name, name=name.replace("-", " "), kind=settings.device.kind, version=VERSION),
            outbox=self._outbox,
            retained=self._retained,
            wake=self._wake_links,
            tell_reviews=self._tells_reviews(),
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
        self._film = Film(
            parse_source(settings.camera.source, base=home),
            settings=film_settings(settings),
            new_id=new_event_id,
            sink=self._keeper.sink,
        )
        self._private = self._state.get_meta("privacy") == "ON"
        self._forget_leftovers()

    async def run(self, *, on_ready: Callable[[], None] = lambda: None) -> None:
        """Film, tell, and serve the owner's tools."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._stop.set)
        operations = make_operations(
            controls=self,
            desk=self._desk,
            ring=self._ring,
            ledger=self._ledger,
            device=self._view,
            device_key=self._key,
            outgoing=self._outgoing,
        )
        server = ControlServer(self._home / SOCKET_NAME, operations, refusals=REFUSALS)
        try:
            async with server.running():
                self._reporter.privacy(on=self._private)
                self._film.set_privacy(self._private)
                self._keeper.start()
                self._film.start()
                log.info("device_ready", device=self._view.name, kind=self._view.kind)
                on_ready()
                await self._serve()
        finally:
            await asyncio.to_thread(self._close)

    async def status(self) -> dict[str, Any]:
        """Return how everything is, for the owner's tools."""
        film, usage, counters = self._film.health(), self._ring.usage(), self._keeper.counters
        requests = [] if self._desk is None else await asyncio.to_thread(self._desk.requests)
        events = await asyncio.to_thread(
            self._state.query,
            "SELECT event, kind, start_us, end_us, score, clip FROM events ORDER BY start_us DESC LIMIT 20",
        )
        return {
            "device": self._view.name,
            "kind": self._view.kind,
            "filming": {**asdict(film), "fps": round(film.fps, 1), "decode_ms": round(film.decode_ms, 3),
                        "lag_ms": round(film.lag_ms, 1)},
            "privacy": self._private,
            "problem": self._problem(),
            "storage": asdict(usage),
            "kept": asdict(counters),
            "outbox": asdict(self._outbox.stats()),
            "links": [{"broker": str(one.address), **asdict(one.health)} for one in self._links],
            "requests": {"known": len(requests), "waiting": waiting(requests)},
            "events": [dict(zip(("event", "kind", "start_us", "end_us", "score", "clip"), row, strict=True))
                       for row in events],
        }  # fmt: skip

    async def set_privacy(self, on: bool) -> None:
        """Stop filming at once, or resume it once that is kept; tell it when it is so."""
        if on:
            self._film.set_privacy(True)

        def keep() -> None:
            with self._state.transaction() as tx:
                tx.set_meta("privacy", "ON" if on else "OFF")

        await asyncio.to_thread(keep)
        self._private = on
        self._film.set_privacy(on)
        self._reporter.privacy(on=on)
        log.info("privacy", on=on)

    def ring(self) -> None:
        """Ring the bell."""
        self._film.ring()

    def approved(self) -> None:
        """Begin to send what was approved."""
        self._sending.set()

    def sent_bytes(self, leaf: str) -> int | None:
        """Return how much of a request's bundle the inbox has, if it is on its way."""
        return self._sent.get(leaf)

    async def _serve(self) -> None:
        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            tasks.extend(group.create_task(one.run(), name=f"link-{one.address}") for one in self._links)
            tasks.append(group.create_task(self._report(), name="health"))
            if self._desk is not None and self._settings.neighbourhood is not None:
                tasks.append(group.create_task(self._consider(self._desk), name="requests"))
                tasks.append(group.create_task(self._upload(self._desk), name="uploads"))
            await self._stop.wait()
            await asyncio.to_thread(self._end_film)
            await self._drain()
            for task in tasks:
                task.cancel()
        if self._failure is not None:
            raise self._failure

    async def _drain(self) -> None:
        # What was said last may go out still; what can't waits in the outbox for the next start.
        until = time.monotonic() + DRAIN_S
        while time.monotonic() < until and any(one.health.connected for one in self._links):
            if await asyncio.to_thread(lambda: self._outbox.stats().messages) == 0:
                return
            await asyncio.sleep(0.05)

    def _end_film(self) -> None:
        self._film.stop()
        self._keeper.close()

    def _close(self) -> None:
        self._end_film()
        self._state.close()

    async def _consider(self, desk: RequestDesk) -> None:
        """Look at what was announced at fixed times: neither arrival nor match shows in when anything happens."""
        assert self._settings.neighbourhood is not None  # noqa: S101 - the caller looked
        every_s = self._settings.neighbourhood.consider_every_s
        while True:
            await asyncio.sleep(every_s)
            arrived = self._mailbox.take_all()
            try:
                await asyncio.to_thread(desk.consider, requests_in(arrived))
            except VaultError as error:  # a full disk, say: what came is looked at again
                log.warning("requests_wait", error=str(error))
                for topic, payload in arrived:
                    self._mailbox.put(topic, payload)

    async def _report(self) -> None:
        while True:
            film, usage = self._film.health(), await asyncio.to_thread(self._ring.usage)
            stats = await asyncio.to_thread(self._outbox.stats)
            self._reporter.health(
                link.Health(
                    problem=self._problem(),
                    segments_lost=self._keeper.counters.segments_lost,
                    frames_per_second=film.fps,
                    frames_dropped=film.dropped,
                    storage_used_bytes=usage.bytes,
                    storage_limit_bytes=usage.max_bytes,
                    outbox_messages=stats.messages,
                    outbox_dropped=stats.dropped,
                    outbox_epoch=stats.epoch,
                    outbox_oldest_seq=stats.oldest_seq,
                    outbox_next_seq=stats.next_seq,
                )
            )
            if self._desk is not None:
                self._reporter.reviews(waiting(await asyncio.to_thread(self._desk.requests)))
            await asyncio.to_thread(self._ring.expire)
            await asyncio.sleep(HEALTH_EVERY_S)

    def _problem(self) -> str:
        counters, film = self._keeper.counters, self._film.health()
        if counters.storage_full:
            return "disk full: footage is being lost"
        if counters.source_lost:
            return f"camera {film.state}: {counters.source_lost}"
        return ""

    async def _upload(self, desk: RequestDesk) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                self._sending.clear()
                try:
                    for stored in await asyncio.to_thread(desk.to_send):
                        await self._send(desk, stored, client)
                except VaultError as error:  # a full disk, say: nothing is sent that can't be written down first
                    log.warning("uploads_wait", error=str(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(UPLOAD_AGAIN_S):
                        await self._sending.wait()

    async def _send(self, desk: RequestDesk, stored: StoredRequest, client: httpx.AsyncClient) -> None:
        section = self._settings.neighbourhood
        assert section is not None and stored.approval is not None  # noqa: S101, PT018 - no desk or approval without
        assert stored.bundle is not None and stored.upload_seed is not None  # noqa: S101, PT018 - set with the approval
        leaf, path = stored.leaf, self._outgoing / stored.bundle
        job = link.UploadJob(
            approval=stored.approval,
            bundle=path,
            inbox_url=section.inbox_url,
            inbox_key=from_base64(section.inbox_key, size=KEY_BYTES),
            one_time_seed=stored.upload_seed,
        )
        await asyncio.to_thread(desk.releasing, leaf)
        try:
            receipt = await link.upload_bundle(
                job,
                owner_key=self._owner.verify_key,
                client=client,
                progress=lambda sent, _total: self._sent.__setitem__(leaf, sent),
            )
        except link.UploadInterrupted as error:
            log.warning("upload_waits", request=leaf[:16], why=str(error))
            return
        except (link.UploadRefused, link.NotApproved) as error:
            log.warning("upload_refused", request=leaf[:16], why=str(error))
            await asyncio.to_thread(desk.failed, leaf, str(error))
        else:
            await asyncio.to_thread(desk.received, leaf, receipt)
            log.info("bundle_received", request=leaf[:16])
        self._sent.pop(leaf, None)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    def _forget_leftovers(self) -> None:
        # Bundles that were stored and never approved, since the power went in between.
        wanted = set() if self._desk is None else {stored.bundle for stored in self._desk.to_send()}
        for path in self._outgoing.iterdir():
            if path.name not in wanted:
                path.unlink()

    def _make_desk(self, section: NeighbourhoodSection | None) -> RequestDesk | None:
        if section is None:
            return None
        device = self._settings.device
        return RequestDesk(
            self._state,
            ledger=self._ledger,
            trust=Trust(
                policy=pinned_policy(self._home / section.policy_file),
                operator_key=from_base64(section.operator_key, size=KEY_BYTES),
            ),
            policy=HouseholdPolicy(
                indoor=device.indoor,
                indoor_takes_part=device.indoor_takes_part,
                look_back_us=int(section.look_back_days * DAY_US),
            ),
            device=self._view,
            shelf=RingShelf(self._ring),
            now_us=self._now_us,
        )

    def _make_links(self) -> tuple[link.MqttLink, ...]:
        name, home = self._settings.device.name, self._settings.home
        section = self._settings.neighbourhood
        asked = None if section is None else broker_address(self._home, section.mqtt, name)
        cell = cell_of(self._settings.where)
        if home is None:
            if asked is None:
                return ()
            subscriptions = request_subscriptions(cell=cell, requests=self._mailbox)
            return (link.MqttLink(asked, subscriptions=subscriptions, publishing=None),)
        own = broker_address(self._home, home, name)
        if asked is not None and link.same_broker(own, asked) and own != asked:
            raise SettingsError("[home] and [neighbourhood.mqtt] are one broker: give both the same login")
        return link.make_links(
            device=name,
            cell=cell,
            home=own,
            neighbourhood=asked,
            outbox=self._outbox,
            retained=self._retained,
            requests=self._mailbox,
            set_privacy=self._privacy_asked,
        ).all

    def _tells_reviews(self) -> bool:
        home, section = self._settings.home, self._settings.neighbourhood
        if home is None or section is None:
            return False
        return not may_be_one_broker(home, section.mqtt)

    def _privacy_asked(self, on: bool) -> None:
        task = self._loop.create_task(self.set_privacy(on), name="privacy")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake_links(self) -> None:
        for one in self._links:
            one.wake()

    def _keeper_failed(self, error: Exception) -> None:
        self._failure = error
        self._loop.call_soon_threadsafe(self._stop.set)
