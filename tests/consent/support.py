"""A desk in a real state, with a shelf of clips that were sealed and signed but never filmed."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from broker.wire.envelopes import public_bytes
from broker.wire.records import SegmentStatement
from broker.wire.rules import DAY_US, MINUTE_US
from broker.wire.tiles import TILE_WIDTH
from device.consent.desk import RequestDesk
from device.consent.docket import DeviceView, Docket
from device.consent.matching import ClipSpan
from device.consent.mutes import Mutes
from device.consent.policy import HouseholdPolicy
from device.consent.reading.follower import Follower
from device.consent.requests import SCHEMA, RequestStore
from device.consent.trust import Trust, VerifiedRequest
from device.vault.keys import DeviceKey
from device.vault.ledger import Ledger
from device.vault.state import State, Transaction
from tests.link.support import quick_folder
from tests.simulators import NOW_US, PLACE, LogSimulator, NeighbourhoodSimulator, signing_key

CLIP_START_US = NOW_US - 30 * MINUTE_US
OWNER = signing_key(20)


def follow(hood: NeighbourhoodSimulator, state: State, *, now_us: int = NOW_US) -> Follower:
    """Return a follower of a neighbourhood's log that has read nothing new yet."""
    return Follower(
        state,
        policy=hood.log.policy,
        operator_key=public_bytes(hood.operator),
        now_us=lambda: now_us,
        max_age_us=DAY_US,
    )


def read_on(follower: Follower, log: LogSimulator, *, own: bool = True) -> None:
    """Let a follower read all that a log has, as it is served."""
    head = follower.hear(log.head(), own=own).more
    if head is not None:
        first = follower.size
        cuts = [first, *range((first // TILE_WIDTH + 1) * TILE_WIDTH, head.size, TILE_WIDTH), head.size]
        follower.take(head, [log.entries[start:end] for start, end in itertools.pairwise(cuts)])


@contextlib.contextmanager
def followed(hood: NeighbourhoodSimulator, *, read: bool = True) -> Iterator[Follower]:
    """Follow a neighbourhood's log in a state of its own."""
    with quick_folder() as folder, State.open(folder / "state.db") as state:
        follower = follow(hood, state)
        if read:
            read_on(follower, hood.log)
        yield follower


def trust_in(hood: NeighbourhoodSimulator, follower: Follower) -> Trust:
    return Trust(policy=hood.log.policy, view=follower)


def verified_of(hood: NeighbourhoodSimulator, payload: bytes, *, leaf: str | None = None) -> VerifiedRequest:
    """Return what a device that has read the whole log makes of an announcement."""
    with followed(hood) as follower:
        return trust_in(hood, follower).verify(payload, leaf=leaf)


@dataclass
class Shelf:
    """Clips as the desk sees them."""

    clips: dict[str, list[SegmentStatement]] = field(default_factory=dict)
    pinned: dict[str, set[str]] = field(default_factory=dict)
    rings: list[int] = field(default_factory=list)
    key: DeviceKey = field(default_factory=DeviceKey.generate)

    def film(self, clip: str, *, start_us: int = CLIP_START_US, segments: int = 5, first_seq: int = 0) -> None:
        self.clips[clip] = [
            SegmentStatement(
                device="front-door", camera="main", seq=first_seq + number, start=start_us + number * 1_000_000,
                duration_us=1_000_000, sha256="0" * 64, prev="0" * 64,
            )
            for number in range(segments)
        ]  # fmt: skip

    def spans(self, start_us: int, end_us: int) -> Sequence[ClipSpan]:
        spans = [ClipSpan(clip, s[0].start, s[-1].start + s[-1].duration_us) for clip, s in self.clips.items()]
        return [span for span in spans if span.start_us < end_us and span.end_us > start_us]

    def statements(self, clip: str) -> Sequence[bytes]:
        return [statement.sign(self.key.signing) for statement in self.clips[clip]]

    def rung(self, ranges: Sequence[tuple[int, int]]) -> list[int]:
        return [at_us for at_us in self.rings if any(start <= at_us < end for start, end in ranges)]

    def pin(self, tx: Transaction, clip: str, reason: str) -> None:  # noqa: ARG002 - held by memory, not by the state
        self.pinned.setdefault(reason, set()).add(clip)

    def unpin(self, tx: Transaction, reason: str) -> None:  # noqa: ARG002 - held by memory, not by the state
        self.pinned.pop(reason, None)


class Home:
    """One device's desk, whose clock a test can set."""

    def __init__(self, folder: Path, hood: NeighbourhoodSimulator, *, policy: HouseholdPolicy | None = None) -> None:
        self.folder = folder
        self.hood = hood
        self.now_us = NOW_US
        self.shelf = Shelf()
        self.policy = policy or HouseholdPolicy()
        self.open()

    def open(self) -> None:
        self.state = State.open(self.folder / "state.db", schemas=[SCHEMA])
        self.ledger = Ledger(self.state, self.shelf.key)
        self.follower = Follower(
            self.state, policy=self.hood.log.policy, operator_key=public_bytes(self.hood.operator),
            now_us=lambda: self.now_us, max_age_us=DAY_US,
        )  # fmt: skip
        trust = Trust(policy=self.hood.log.policy, view=self.follower)
        store = RequestStore(self.state)
        device = DeviceView(
            name="front-door", key=self.shelf.key.public, camera="main", kind="doorbell", where=PLACE,
            owner_key=public_bytes(OWNER),
        )  # fmt: skip
        self.docket = Docket(
            self.state, store=store, trust=trust, reading=self.follower, policy=self.policy,
            device=device, shelf=self.shelf,
            now_us=lambda: self.now_us, believed_us=lambda: self.now_us,
        )  # fmt: skip
        self.desk = RequestDesk(
            self.state, store=store, docket=self.docket, ledger=self.ledger, trust=trust,
            reading=self.follower, limits=self.policy.limits,
            device=device, shelf=self.shelf, rings=self.shelf.rung, now_us=lambda: self.now_us,
        )  # fmt: skip

        self.mutes = Mutes(self.state, store=store, device=device.name, now_us=lambda: self.now_us)

    def consider(self, *announced: tuple[str, bytes]) -> None:
        """Read the log on, and look at what was announced: what a device does at its times."""
        read_on(self.follower, self.hood.log)
        self.docket.consider(announced)

    def close(self) -> None:
        self.state.close()

    def states(self) -> dict[str, str]:
        return {stored.leaf: str(stored.state) for stored in self.desk.requests()}
