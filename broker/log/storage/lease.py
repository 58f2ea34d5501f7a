"""Who may write a log that lies in a bucket: a lease, which its holder renews and every other writer respects.

    latchstring lease
    <holder, or an empty line: free>
    <a number that grows with each renewal>

The lease keeps a second sequencer from starting by mistake, no more: a holder that was suspended does not know that its
time is over. That such a one can't move the head is the business of the fence in the head itself (objects.py).

No clock of another machine is read. Whoever finds the lease held watches it: it is renewed within its time and
belongs to somebody, or it stays as it is for that time, on the watcher's own monotonic clock, and is taken over. So a
clock that is set, back or forth, anywhere, changes nothing.
"""

import threading
import time
from collections.abc import Callable

import structlog

from broker.log.errors import LogDamagedError, LogError, LogInUseError, StorageError

from .bucket import Bucket, Headers, Stored, TagMismatchError

log = structlog.get_logger()

LEASE_KEY = "lease"
LEASE_S = 15.0
_TITLE = "latchstring lease"
_RENEWALS = 3  # in the time of a lease
_LOOKS = 10  # in the time of a lease, while waiting for it to end
_HEADERS = Headers("text/plain; charset=utf-8", "no-store")


class Lease:
    """One writer's hold on a log. `holder` is unique and names it to people; used from two threads at the most."""

    def __init__(
        self,
        bucket: Bucket,
        *,
        holder: str,
        lease_s: float = LEASE_S,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bucket = bucket
        self._holder = holder
        self._lease_s = lease_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tag: str | None = None  # of the lease while it is held
        self._beat = 0
        self._renewed_at = 0.0
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None

    def take(self) -> None:
        """Hold the lease from here on; raises LogInUseError where another holder renews it.

        This takes up to `lease_s` where a holder has died without giving it back.
        """
        with self._lock:
            if self._tag is not None:
                self._renew()
            else:
                self._acquire()

    def check(self) -> None:
        """Raise LogInUseError where the lease is not held any more; renews it if that is due."""
        with self._lock:
            if self._tag is None:
                raise LogInUseError(f"{self._bucket.where} (not claimed)")
            if self._monotonic() - self._renewed_at > self._lease_s / 2:
                self._renew()

    def confirm(self) -> None:
        """Ask the store whether the lease is held still; raises LogInUseError."""
        found = self._bucket.get(LEASE_KEY)
        if (holder := _holder_of(found, self._bucket.where)) != self._holder:
            raise LogInUseError(f"{self._bucket.where} ({holder or 'nobody'} took over)")

    def give_back(self) -> None:
        """Free the lease, if it is held; where the store can't be reached it ends by itself."""
        self._stop.set()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
        with self._lock:
            if self._tag is None:
                return
            try:
                self._bucket.put_if(LEASE_KEY, self._body(""), _HEADERS, tag=self._tag)
            except (StorageError, TagMismatchError) as error:
                log.info("log_lease_not_given_back", error=str(error) or "another writer holds it")
            self._tag = None

    def keep(self) -> None:
        """Renew the lease from a thread of its own until it is given back or lost."""
        if self._keeper is None or not self._keeper.is_alive():
            self._stop.clear()
            self._keeper = threading.Thread(target=self._keep, name="log-lease", daemon=True)
            self._keeper.start()

    def _keep(self) -> None:
        while not self._stop.wait(self._lease_s / _RENEWALS):
            try:
                with self._lock:
                    self._renew()
            except LogInUseError as error:
                log.warning("log_lease_lost", error=str(error))
                return
            except LogError as error:  # renewed at the next turn, or lost to somebody else by then
                log.warning("log_lease_not_renewed", error=str(error))

    def _acquire(self) -> None:
        found, since = self._bucket.get(LEASE_KEY), self._monotonic()
        while not self._may_take(found):
            if self._monotonic() - since >= self._lease_s:
                log.warning("log_lease_taken_over", where=self._bucket.where)
                break
            self._sleep(self._lease_s / _LOOKS)
            now = self._bucket.get(LEASE_KEY)
            if now != found and not self._may_take(now):
                raise LogInUseError(f"{self._bucket.where} ({_holder_of(now, self._bucket.where)})")
            found = now
        for _ in range(2):
            try:
                self._hold(found)
            except TagMismatchError:
                found = self._bucket.get(LEASE_KEY)
                if not self._may_take(found):  # another one was quicker, and no late put of our own
                    break
            else:
                return
        raise LogInUseError(self._bucket.where)

    def _may_take(self, found: Stored | None) -> bool:
        return _holder_of(found, self._bucket.where) in {"", self._holder}  # ours: a late put of an earlier try

    def _renew(self) -> None:
        """Swap in the next beat; what a lost answer left there of ours is built upon."""
        for _ in range(2):
            found = self._bucket.get(LEASE_KEY)
            holder = _holder_of(found, self._bucket.where)
            if holder != self._holder:
                break
            try:
                self._hold(found)
            except TagMismatchError:
                continue
            return
        self._tag = None
        raise LogInUseError(f"{self._bucket.where} ({holder or 'nobody'} took over)")

    def _hold(self, found: Stored | None) -> None:
        started = self._monotonic()
        self._beat += 1
        tag = None if found is None else found.tag
        self._tag = self._bucket.put_if(LEASE_KEY, self._body(self._holder), _HEADERS, tag=tag)
        self._renewed_at = started

    def _body(self, holder: str) -> bytes:
        return f"{_TITLE}\n{holder}\n{self._beat}\n".encode()


def _holder_of(stored: Stored | None, where: str) -> str:
    if stored is None:
        return ""
    lines = stored.data.decode("utf-8", errors="replace").split("\n")
    if len(lines) != 4 or lines[0] != _TITLE or lines[3]:  # noqa: PLR2004 - title, holder, beat, end
        raise LogDamagedError(f"{where}/{LEASE_KEY} is not a lease; remove it once no sequencer runs")
    return lines[1]
