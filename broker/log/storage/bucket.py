"""Objects in a bucket as the log's storage needs them: whole, by key, and swapped only where nobody else changed them.

`Bucket` is what S3-compatible stores offer (s3.py), `PatientBucket` the same with retries. What the objects mean stands
in objects.py.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from broker.log.errors import StorageUnreachableError

log = structlog.get_logger()

ATTEMPTS = 6
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0

T = TypeVar("T")


class TagMismatchError(Exception):
    """The object is not the one that was to be replaced; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object with the tag (ETag) of its present form."""

    data: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class Headers:
    """What an object is served with, if the bucket is served as it stands."""

    content_type: str
    cache_control: str


class Bucket(Protocol):
    """The objects below one prefix of one bucket. Every call is atomic.

    All raise StorageUnreachableError where it is not known whether the call took effect, now or later, and
    StorageRefusedError where it did not and trying again won't help.
    """

    @property
    def where(self) -> str:
        """Name the bucket and the prefix, for people."""

    def get(self, key: str) -> Stored | None:
        """Return an object, None if there is none."""

    def put(self, key: str, data: bytes, headers: Headers) -> None:
        """Make or replace an object; it is durable when this returns."""

    def put_if(self, key: str, data: bytes, headers: Headers, *, tag: str | None) -> str:
        """Replace the object that has `tag` (None: make one where there is none) and return the new tag.

        Raises TagMismatchError.
        """

    def list_below(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is gone already is fine."""


class PatientBucket:
    """A bucket that tries again, after capped and jittered waits, what could not be reached.

    A call that fails in the end may still take effect later. Whoever that would hurt uses `put_if`: of all the tries
    of one call, and of all calls with one tag, at most one takes effect.
    """

    def __init__(
        self,
        bucket: Bucket,
        *,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._bucket = bucket
        self._attempts = attempts
        self._sleep = sleep
        self._chance = chance

    @property
    def where(self) -> str:
        """Name the bucket and the prefix, for people."""
        return self._bucket.where

    def get(self, key: str) -> Stored | None:
        """Return an object, None if there is none."""
        return self._try(lambda: self._bucket.get(key), f"get {key}")

    def put(self, key: str, data: bytes, headers: Headers) -> None:
        """Make or replace an object."""
        self._try(lambda: self._bucket.put(key, data, headers), f"put {key}")

    def put_if(self, key: str, data: bytes, headers: Headers, *, tag: str | None) -> str:
        """Swap an object; one whose bytes are there already, from a try that was reported as failed, was swapped."""
        unsure = False

        def swap() -> str:
            nonlocal unsure
            try:
                return self._bucket.put_if(key, data, headers, tag=tag)
            except TagMismatchError:
                stored = self._bucket.get(key)
                if stored is not None and stored.data == data:
                    return stored.tag
                if unsure:  # it may have been swapped in, and then out again by another writer
                    raise StorageUnreachableError(self.where, f"what became of {key} is not known") from None
                raise
            except StorageUnreachableError:
                unsure = True
                raise

        return self._try(swap, f"swap {key}")

    def list_below(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`."""
        return self._try(lambda: self._bucket.list_below(prefix), f"list {prefix}")

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects."""
        if keys:
            self._try(lambda: self._bucket.delete(keys), f"delete {keys[0]}")

    def _try(self, call: Callable[[], T], what: str) -> T:
        for attempt in range(self._attempts - 1):
            try:
                return call()
            except StorageUnreachableError as error:
                wait_s = self._chance() * min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)
                log.info(
                    "log_storage_retried", call=what, attempt=attempt + 1, wait_s=round(wait_s, 3), why=error.reason
                )
                self._sleep(wait_s)
        return call()
