"""A keeper over a real state and ring, whose disk can be made full."""

from dataclasses import dataclass, field
from pathlib import Path

from device import link
from device.keeper import SCHEMA, Keeper
from device.vault.clipring import ClipRing
from device.vault.disk import Disk
from device.vault.keys import DeviceKey, OwnerKey
from device.vault.sealing import new_identity
from device.vault.seals import CaptureChain
from device.vault.state import State
from tests.simulators import NOW_US, signing_key


@dataclass
class Kept:
    """Everything around one keeper."""

    folder: Path
    max_bytes: int = 50_000_000
    disk: Disk | None = None
    owner: OwnerKey = field(default_factory=lambda: OwnerKey(new_identity(), signing_key(30)))
    failures: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = DeviceKey.generate()
        self.state = State.open(self.folder / "state.db", schemas=[SCHEMA, link.SCHEMA])
        self.ring = ClipRing(
            self.folder / "clips", self.state, device="porch", max_bytes=self.max_bytes, max_age_s=86_400,
            pinned_share=0.3, clock=lambda: NOW_US, disk=self.disk,
        )  # fmt: skip
        self.outbox = link.Outbox(self.state, limits=link.OutboxLimits(), expect_receipts=False)
        self.retained = link.RetainedTable()
        self.keeper = Keeper(
            recipient=self.owner.public.recipient,
            state=self.state,
            ring=self.ring,
            chain=CaptureChain(self.state, self.key, device="porch", camera="main"),
            reporter=link.Reporter(
                link.DeviceCard(device="porch", name="porch", kind="doorbell", version="0"),
                outbox=self.outbox, retained=self.retained, wake=lambda: None, tell_reviews=False,
            ),
            on_failure=self.failures.append,
            max_age_us=86_400_000_000,
        )  # fmt: skip
        self.keeper.start(now_us=NOW_US)

    def close(self) -> None:
        self.keeper.close()
        self.state.close()
