"""A desk in a real state, with a shelf of clips that were sealed and signed but never filmed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from broker.wire.envelopes import public_bytes
from broker.wire.records import SegmentStatement
from broker.wire.rules import MINUTE_US
from device.consent.desk import RequestDesk
from device.consent.docket import DeviceView, Docket
from device.consent.matching import ClipSpan
from device.consent.policy import HouseholdPolicy
from device.consent.requests import SCHEMA, RequestStore
from device.consent.trust import Trust
from device.vault.keys import DeviceKey
from device.vault.ledger import Ledger
from device.vault.state import State, Transaction
from tests.simulators import NOW_US, PLACE, NeighbourhoodSimulator, signing_key

CLIP_START_US = NOW_US - 30 * MINUTE_US
OWNER = signing_key(20)


@dataclass
class Shelf:
    """Clips as the desk sees them."""

    clips: dict[str, list[SegmentStatement]] = field(default_factory=dict)
    pinned: dict[str, set[str]] = field(default_factory=dict)
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
        trust = Trust(policy=self.hood.log.policy, operator_key=public_bytes(self.hood.operator))
        store = RequestStore(self.state)
        device = DeviceView(
            name="front-door", key=self.shelf.key.public, camera="main", kind="doorbell", where=PLACE,
            owner_key=public_bytes(OWNER),
        )  # fmt: skip
        self.docket = Docket(
            self.state, store=store, trust=trust, policy=self.policy, device=device, shelf=self.shelf,
            now_us=lambda: self.now_us, believed_us=lambda: self.now_us,
        )  # fmt: skip
        self.desk = RequestDesk(
            self.state, store=store, docket=self.docket, ledger=self.ledger, trust=trust, limits=self.policy.limits,
            device=device, shelf=self.shelf, now_us=lambda: self.now_us,
        )  # fmt: skip

    def close(self) -> None:
        self.state.close()

    def states(self) -> dict[str, str]:
        return {stored.leaf: str(stored.state) for stored in self.desk.requests()}
