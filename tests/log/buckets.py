"""A bucket in memory with the manners of S3, one that loses calls or answers, and the clock that both live by."""

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from broker.log.errors import StorageUnreachableError
from broker.log.storage.bucket import Bucket, Headers, Stored, TagMismatchError
from broker.log.storage.objects import ObjectStorage

T = TypeVar("T")


class Timer:
    """A monotonic clock that moves when somebody sleeps; `during` is what else happens then."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.during: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.during()


class MemoryBucket:
    """Objects by key. A tag is the MD5 of the bytes, as with S3: bytes that come back bring their tag back."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.headers: dict[str, Headers] = {}
        self.written: list[tuple[str, bytes]] = []
        self.when_written: Callable[[str], object] = lambda _: None

    @property
    def where(self) -> str:
        return "memory://log"

    def get(self, key: str) -> Stored | None:
        data = self.objects.get(key)
        return None if data is None else Stored(data, _tag(data))

    def put(self, key: str, data: bytes, headers: Headers) -> None:
        self.objects[key], self.headers[key] = data, headers
        self.written.append((key, data))
        self.when_written(key)

    def put_if(self, key: str, data: bytes, headers: Headers, *, tag: str | None) -> str:
        there = self.get(key)
        if (there.tag if there else None) != tag:
            raise TagMismatchError(key)
        self.put(key, data, headers)
        return _tag(data)

    def list_below(self, prefix: str) -> list[str]:
        return [key for key in self.objects if key.startswith(prefix)]

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)


class Outcome(Enum):
    """What became of a call that is reported as failed."""

    LOST = "lost"
    DONE = "done"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Fate:
    """How a call fails; a late one is done just before the call that comes `after` it."""

    outcome: Outcome
    after: int = 0

    def __str__(self) -> str:
        return f"{self.outcome.value}-{self.after}" if self.after else self.outcome.value


LOST, DONE = Fate(Outcome.LOST), Fate(Outcome.DONE)


def late(after: int) -> Fate:
    return Fate(Outcome.LATE, after)


class FaultyBucket:
    """A bucket behind a bad line: the calls whose numbers are in `fates` fail as said there.

    `before` is what else happens just before a call of that number, while its caller is suspended.
    """

    def __init__(
        self, inner: Bucket, fates: Mapping[int, Fate], *, before: Mapping[int, Callable[[], None]] | None = None
    ) -> None:
        self._inner = inner
        self.fates = fates
        self._before = before or {}
        self._late: list[tuple[int, Callable[[], object]]] = []
        self.calls = 0
        self.failed: list[str] = []

    @property
    def where(self) -> str:
        return self._inner.where

    def get(self, key: str) -> Stored | None:
        return self._call(f"get {key}", lambda: self._inner.get(key))

    def put(self, key: str, data: bytes, headers: Headers) -> None:
        self._call(f"put {key}", lambda: self._inner.put(key, data, headers))

    def put_if(self, key: str, data: bytes, headers: Headers, *, tag: str | None) -> str:
        return self._call(f"swap {key}", lambda: self._inner.put_if(key, data, headers, tag=tag))

    def list_below(self, prefix: str) -> list[str]:
        return self._call(f"list {prefix}", lambda: self._inner.list_below(prefix))

    def delete(self, keys: Sequence[str]) -> None:
        self._call(f"delete {keys[0]}", lambda: self._inner.delete(keys))

    def settle(self) -> None:
        """Let all that is late arrive."""
        self._deliver(due_at=None)

    def _call(self, what: str, call: Callable[[], T]) -> T:
        self.calls += 1
        self._before.get(self.calls, lambda: None)()
        self._deliver(due_at=self.calls)
        fate = self.fates.get(self.calls)
        if fate is None:
            return call()
        self.failed.append(what)
        if fate.outcome is Outcome.DONE:
            _do_unheard(call)
        elif fate.outcome is Outcome.LATE:
            self._late.append((self.calls + fate.after, call))
        raise StorageUnreachableError(self.where, "the line is bad")

    def _deliver(self, *, due_at: int | None) -> None:
        due = [call for at, call in self._late if due_at is None or at <= due_at]
        self._late = [(at, call) for at, call in self._late if due_at is not None and at > due_at]
        for call in due:
            _do_unheard(call)


def make_storage(bucket: Bucket, timer: Timer, *, attempts: int = 1, lease_s: float = 15.0) -> ObjectStorage:
    """A storage whose every call stands in the order that it was made in, and which renews its lease by calls alone."""
    return ObjectStorage(
        bucket,
        lease_s=lease_s,
        attempts=attempts,
        monotonic=timer,
        sleep=timer.sleep,
        chance=lambda: 0.5,
        keep_lease=False,
        writers=1,
    )


def _do_unheard(call: Callable[[], object]) -> None:
    with contextlib.suppress(TagMismatchError):
        call()


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
