"""What takes part in a neighbourhood: the log's reader, docket, desk and courier, made around one state."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from broker.wire import topics
from broker.wire.cosigning import mirror_prefix
from broker.wire.encoding import WireError, from_base64
from broker.wire.envelopes import KEY_BYTES
from broker.wire.rules import DAY_US, HOUR_US
from device import link
from device.consent.desk import RequestDesk
from device.consent.docket import DeviceView, Docket
from device.consent.errors import ConsentError
from device.consent.matching import ClipSpan
from device.consent.mutes import Mutes
from device.consent.policy import HouseholdPolicy
from device.consent.reading.follower import Follower
from device.consent.requests import RequestStore
from device.consent.trust import Trust
from device.courier import Courier, Destination
from device.eventlog import EventLog
from device.logreader import LogReader
from device.names import OUTGOING_NAME
from device.pinned import log_policy
from device.settings import DeviceSettings, NeighbourhoodSection, SettingsError
from device.vault.clipring import ClipRing
from device.vault.errors import VaultError
from device.vault.ledger import Ledger
from device.vault.state import State, Transaction

log = structlog.get_logger()


class RingShelf:
    """The clip ring as the desk sees it."""

    def __init__(self, ring: ClipRing) -> None:
        self._ring = ring

    def spans(self, start_us: int, end_us: int) -> Sequence[ClipSpan]:
        """Return the clips that overlap a range."""
        return [ClipSpan(clip.clip, clip.start_us, clip.until_us) for clip in self._ring.clips(start_us, end_us)]

    def statements(self, clip: str) -> Sequence[bytes]:
        """Return the envelopes of a clip's segment statements, in order."""
        return [segment.statement for segment in self._ring.segments(clip)]

    def pin(self, tx: Transaction, clip: str, reason: str) -> None:
        """Keep a clip, within the pinned share."""
        self._ring.pin(clip, reason, tx=tx)

    def unpin(self, tx: Transaction, reason: str) -> None:
        """Let go of what was pinned for a reason."""
        self._ring.unpin(reason, tx=tx)


@dataclass(frozen=True, slots=True)
class Asked:
    """What takes part in a neighbourhood, around one store; looked at every `every_s` seconds."""

    docket: Docket
    desk: RequestDesk
    courier: Courier
    follower: Follower
    files: "link.LogReading"
    reader: LogReader
    every_s: float
    mutes: Mutes

    async def look(self, mailbox: "link.Mailbox") -> None:
        """Read the log on, then look at what was announced since the last time.

        Raises VaultError, ConsentError: what was announced is in the mailbox again, unless newer words have come.
        """
        arrived = mailbox.take_all()
        try:
            for topic, payload in arrived:
                if topic == topics.CHECKPOINT:
                    await self.reader.told(payload)
            await self.reader.look()
            async with self.reader.at_rest():
                await asyncio.to_thread(self.docket.consider, requests_in(arrived))
        except (VaultError, ConsentError):
            for topic, payload in (*arrived, *mailbox.take_all()):
                mailbox.put(topic, payload)
            raise


def join_neighbourhood(
    section: NeighbourhoodSection,
    *,
    settings: DeviceSettings,
    home: Path,
    state: State,
    ring: ClipRing,
    ledger: Ledger,
    view: DeviceView,
    now_us: Callable[[], int],
    believed_us: Callable[[], int],
) -> Asked:
    """Make what reads the log, docket, desk and courier; raises SettingsError, VaultError, ConsentError."""
    pinned = log_policy(home, section)
    follower = Follower(
        state,
        policy=pinned,
        operator_key=from_base64(section.operator_key, size=KEY_BYTES),
        now_us=believed_us,
        max_age_us=int(section.log_max_age_h * HOUR_US),
    )
    files = _log_files(home, section)
    addresses = log_addresses(section, origin=follower.origin)
    reader = LogReader(follower, files, addresses=addresses, every_s=section.log_every_s)
    trust = Trust(policy=pinned, view=follower)
    policy = HouseholdPolicy(
        indoor=settings.device.indoor,
        indoor_takes_part=settings.device.indoor_takes_part,
        look_back_us=int(section.look_back_days * DAY_US),
    )
    store, shelf = RequestStore(state), RingShelf(ring)
    drop_leftover_pins(state, ring)
    docket = Docket(
        state,
        store=store,
        trust=trust,
        reading=follower,
        policy=policy,
        device=view,
        shelf=shelf,
        now_us=now_us,
        believed_us=believed_us,
    )
    desk = RequestDesk(
        state,
        store=store,
        docket=docket,
        ledger=ledger,
        trust=trust,
        reading=follower,
        limits=policy.limits,
        device=view,
        shelf=shelf,
        rings=EventLog(state).rings,
        now_us=now_us,
    )
    destination = Destination(
        inbox_url=section.inbox_url,
        inbox_key=from_base64(section.inbox_key, size=KEY_BYTES),
        owner_key=view.owner_key,
    )
    courier = Courier(desk, destination=destination, outgoing=home / OUTGOING_NAME)
    mutes = Mutes(state, store=store, device=view.name, now_us=now_us)
    return Asked(docket, desk, courier, follower, files, reader, section.consider_every_s, mutes)


def drop_leftover_pins(state: State, ring: ClipRing) -> None:
    """Let go of clips that are pinned for requests which are not known any more: an update forgot what was on offer."""
    with state.transaction() as tx:
        for (leaf,) in tx.query("SELECT DISTINCT reason FROM pins WHERE reason NOT IN (SELECT leaf FROM requests)"):
            ring.unpin(leaf, tx=tx)


def log_addresses(section: NeighbourhoodSection, *, origin: str) -> tuple["link.LogAddress", ...]:
    """Return where the log can be read: at the log's own address, and at its mirrors'."""
    log_itself = link.LogAddress("log", section.log_url.rstrip("/"), own=True)
    mirrors = [link.LogAddress(one.name, mirror_prefix(one.url, origin), own=False) for one in section.mirrors]
    return (log_itself, *mirrors)


def _log_files(home: Path, section: NeighbourhoodSection) -> "link.LogReading":
    ca_file = None if section.log_ca_file is None else home / section.log_ca_file
    try:
        return link.LogReading(ca_file=ca_file)
    except OSError as error:
        raise SettingsError(f"{ca_file} can't be used: {error.strerror or error}") from error


def requests_in(arrived: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return (leaf hash, payload) of the messages that are requests; what has no such topic is dropped with a line."""
    found = []
    for topic, payload in arrived:
        if topic == topics.CHECKPOINT:
            continue
        try:
            _, leaf = topics.parse_request_topic(topic)
        except WireError as error:
            log.warning("message_dropped", kind="topic", why=str(error))
            continue
        found.append((leaf, payload))
    return found
