"""What the vault's tests share: a home with keys, state, ring and ledger, and disks that can be bent."""

import contextlib
import errno
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from device.vault.check import CheckReport, check
from device.vault.clipring import ClipRing
from device.vault.disk import LocalDisk
from device.vault.keys import DeviceKey
from device.vault.ledger import Ledger
from device.vault.sealing import new_identity, recipient_of, seal
from device.vault.seals import CaptureChain
from device.vault.state import Schema, State

START_US = 1_770_000_000_000_000
SECOND_US = 1_000_000
IDENTITY = new_identity()
RECIPIENT = recipient_of(IDENTITY)
DEVICE_KEY = DeviceKey.generate(lambda count: bytes(range(count)))
PLAIN_MARK = b"PLAINTEXT-OF-A-PICTURE"

# A room's own table, to see decision and state change kept together.
DECISIONS = Schema("decisions", (("CREATE TABLE decisions (clip TEXT PRIMARY KEY) STRICT",),))


class PowerCutError(BaseException):
    """The power is gone: nothing may catch this and tidy up."""


@dataclass
class Cut:
    """Cuts the power at the n-th step; `at` None never does. Remembers the names of the steps it saw."""

    at: int | None = None
    seen: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> None:
        self.seen.append(name)
        if self.at is not None and len(self.seen) > self.at:
            raise PowerCutError(name)


@dataclass
class TearingDisk(LocalDisk):
    """A disk whose every write is two steps: the power may go when only a part of the bytes is there."""

    step: Callable[[str], None]
    part: float = 0.5

    def create(self, path: Path, data: bytes) -> None:
        path.write_bytes(data[: int(len(data) * self.part)])
        self.step("disk: file torn")
        path.unlink()
        super().create(path, data)

    def append(self, path: Path, offset: int, data: bytes) -> None:
        super().append(path, offset, data[: int(len(data) * self.part)])
        self.step("disk: record torn")
        super().append(path, offset, data)


@dataclass
class SmallDisk(LocalDisk):
    """A disk with room for `size` bytes of clips: what does not fit is refused."""

    folder: Path
    size: int

    def create(self, path: Path, data: bytes) -> None:
        self._check(len(data))
        super().create(path, data)

    def append(self, path: Path, offset: int, data: bytes) -> None:
        self._check(len(data))
        super().append(path, offset, data)

    def _check(self, count: int) -> None:
        used = sum(path.stat().st_size for path in self.folder.iterdir())
        if used + count > self.size:
            raise OSError(errno.ENOSPC, "No space left on device")


@dataclass
class Clock:
    """A clock that a test sets."""

    now_us: int = START_US

    def __call__(self) -> int:
        return self.now_us


@dataclass
class Home:
    """A device's vault, open."""

    folder: Path
    state: State
    ring: ClipRing
    chain: CaptureChain
    ledger: Ledger
    clock: Clock

    def record(self, clip: str, *, at_s: int, seconds: int = 2, size: int = 2_000, end: bool = True) -> None:
        """Record a clip of one-second segments, and close it."""
        self.begin(clip, at_s=at_s)
        for second in range(at_s, at_s + seconds):
            self.segment(clip, at_s=second, size=size)
        if end:
            self.ring.end(clip, end_us=START_US + (at_s + seconds) * SECOND_US)

    def begin(self, clip: str, *, at_s: int) -> None:
        """Begin a clip."""
        self.ring.begin(clip, camera="door", start_us=START_US + at_s * SECOND_US, event=f"e-{clip}", kind="motion")

    def segment(self, clip: str, *, at_s: int, size: int = 2_000) -> None:
        """Seal, sign and append one segment."""
        plaintext = plain(at_s, size)
        start_us, sha256 = START_US + at_s * SECOND_US, hashlib.sha256(plaintext).hexdigest()
        statement = self.chain.sign(start_us=start_us, duration_us=SECOND_US, sha256=sha256)
        self.ring.append_segment(
            clip,
            seal(plaintext, [RECIPIENT]),
            statement=statement,
            start_us=start_us,
            duration_us=SECOND_US,
            sha256=sha256,
        )

    def segments(self, clip: str, seconds: range, size: int = 2_000) -> None:
        """Append a segment for each second."""
        for second in seconds:
            self.segment(clip, at_s=second, size=size)

    def check(self) -> CheckReport:
        """Run the fsck."""
        return check(self.folder / "clips", self.state, DEVICE_KEY.public)


def plain(at_s: int, size: int = 2_000) -> bytes:
    """Return a segment's plaintext."""
    return (PLAIN_MARK + at_s.to_bytes(8, "big")).ljust(size, b".")


@contextlib.contextmanager
def home(
    folder: Path,
    *,
    max_bytes: int = 1_000_000,
    max_age_s: float = 86_400,
    pinned_share: float = 0.5,
    clock: Clock | None = None,
    disk: LocalDisk | None = None,
    step: Callable[[str], None] = lambda _name: None,
) -> Iterator[Home]:
    """Open a device's vault in `folder`."""
    clock = clock or Clock()
    with State.open(folder / "state.db", schemas=[DECISIONS]) as state:
        yield Home(
            folder=folder,
            state=state,
            ring=ClipRing(
                folder / "clips",
                state,
                device="porch",
                max_bytes=max_bytes,
                max_age_s=max_age_s,
                pinned_share=pinned_share,
                clock=clock,
                disk=disk,
                step=step,
            ),
            chain=CaptureChain(state, DEVICE_KEY, device="porch", camera="door"),
            ledger=Ledger(state, DEVICE_KEY),
            clock=clock,
        )
