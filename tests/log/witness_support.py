"""Witnesses on a folder, with a clock that tests move, and disks that fail where a test says."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.log.witness.answer import LogKeys, Refusal
from broker.log.witness.service import Cosigned, Witness
from broker.log.witness.store import WitnessStore
from broker.wire.notes import Checkpoint, parse_checkpoint, parse_note
from tests.log.mirror_support import LOGS
from tests.log.support import Clock, PowerCutError, key_of

NAME = "witness.example.org"
KEY = key_of("witness under test")


class Disk:
    """Syncs as a disk does, until the power goes at the `cut_at`-th sync: before it, or with `done` right after it."""

    def __init__(self, cut_at: int = 0, *, done: bool = False) -> None:
        self.syncs = 0
        self._cut_at = cut_at
        self._done = done

    @property
    def cut(self) -> bool:
        return 0 < self._cut_at <= self.syncs

    def arm(self, cut_at: int) -> None:
        """Count from now on."""
        self.syncs, self._cut_at = 0, cut_at

    def __call__(self, handle: int) -> None:
        self.syncs += 1
        if self.cut and not (self._done and self.syncs == self._cut_at):
            raise PowerCutError("the power is gone")
        os.fsync(handle)
        if self.cut:
            raise PowerCutError("the power is gone, and the disk had done it")


class FailingOnce:
    """Syncs as a disk does, but for one time."""

    def __init__(self, fail_at: int = 0) -> None:
        self.syncs = 0
        self._fail_at = fail_at

    def arm(self, fail_at: int) -> None:
        """Count from now on."""
        self.syncs, self._fail_at = 0, fail_at

    def __call__(self, handle: int) -> None:
        self.syncs += 1
        if self.syncs == self._fail_at:
            raise OSError(errno.ENOSPC, "no space left")
        os.fsync(handle)


class Ticking(Clock):
    """A clock that is a second later each time that it is read."""

    def __call__(self) -> int:
        self.now_us += 1_000_000
        return self.now_us


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put_back(folder: Path, files: dict[Path, bytes]) -> None:
    """What a power cut does to names that were not synced: the folder holds what it held."""
    for path in set(files_of(folder)) - set(files):
        path.unlink()
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@contextmanager
def witness_on(
    folder: Path,
    *,
    clock: Callable[[], int] | None = None,
    logs: LogKeys = LOGS,
    fsync: Callable[[int], None] = os.fsync,
) -> Iterator[Witness]:
    witness = Witness(name=NAME, key=KEY, logs=logs, store=WitnessStore(folder, fsync=fsync), now_us=clock or Clock())
    witness.open()
    try:
        yield witness
    finally:
        witness.close()


def signed_head(answer: Cosigned | Refusal) -> Checkpoint:
    """The checkpoint that was cosigned; fails the test for a refusal."""
    assert isinstance(answer, Cosigned), answer
    note = str(answer.head.note).encode() + answer.line
    return parse_checkpoint(parse_note(note).text)


def status_of(answer: Cosigned | Refusal) -> int:
    return answer.status if isinstance(answer, Refusal) else 200


def kept_size(witness: Witness) -> int:
    (log,) = witness.status()["logs"]
    return int(log["size"] or 0)
