"""The console's state in one process: locked, then perhaps unlocked, and never locked again, since that is its end.

While unlocked it holds the identity that opens footage, what was opened, and drafts. The owner's signing key is not
among them: it is opened for the moment of a decision, by a passphrase or passkey of that moment.

It locks when it is told to, when nobody used it for `lock_after_s`, and when its last page has been gone for `LEFT_S`.
A decision that is being kept is waited for. A locked process that was shown a wrong passphrase ends as well, some time
later: what was typed may be nearly right.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from device.vault.disk import read_secret
from device.vault.errors import PassphraseError, VaultError
from device.vault.keys import OwnerKey, OwnerPublic, unlock_owner

from .attempts import Attempts
from .drafts import Drafts
from .errors import ApiError, locked
from .films import Films
from .household import Device, Household
from .hub import Hub
from .passkeys import PasskeyError, Passkeys
from .sessions import Random
from .signedurls import SignedAddresses

log = structlog.get_logger()

LEFT_S = 10.0
SHOWN_S = 30.0
ID_BYTES = 16
KEY_BYTES = 32
SECOND_US = 1_000_000
Opens = Callable[[], OwnerKey]


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What exists while the console is unlocked."""

    public: OwnerPublic
    films: Films
    drafts: Drafts
    addresses: SignedAddresses


class Cell:
    """One process's console. Lives on the event loop; what blocks is run in threads by whoever calls it."""

    def __init__(
        self,
        *,
        household: Household,
        owner_key: Path,
        passkeys: Passkeys,
        lock_after_s: float,
        now_us: Callable[[], int],
        steady_us: Callable[[], int],
        attempts: Attempts,
        random: Random = os.urandom,
    ) -> None:
        """`steady_us` goes on while the machine sleeps, and never back: by it the console locks, and attempts wait."""
        self.household = household
        self.passkeys = passkeys
        self.hub = Hub()
        self.attempts = attempts
        self.now_us = now_us
        self._steady_us = steady_us
        self.random = random
        self.locking = asyncio.Event()
        self._owner_key = owner_key
        self._lock_after_us = int(lock_after_s * SECOND_US)
        self._unlocked: Unlocked | None = None
        self._used_us = steady_us()
        self._left_us: int | None = None
        self._shown_us: int | None = None  # when it was last shown a secret that did not open it
        self._deciding = 0
        self._decided = asyncio.Event()
        self._decided.set()
        self._opening = asyncio.Lock()

    @property
    def unlocked(self) -> Unlocked:
        """What exists while unlocked; raises ApiError (423) while it isn't."""
        if self._unlocked is None or self.locking.is_set():
            raise locked()
        return self._unlocked

    @property
    def is_locked(self) -> bool:
        """Whether nothing is open."""
        return self._unlocked is None or self.locking.is_set()

    def used(self) -> None:
        """Somebody is there."""
        self._used_us = self._steady_us()

    def shown(self) -> None:
        """Note that a secret was sent here: a process that can't use it is not to keep it."""
        if self.is_locked:
            self._shown_us = self._steady_us()

    def wait_s(self) -> float:
        """Return for how long no passphrase is looked at."""
        return self.attempts.wait_s(self._steady_us())

    def lock_in_s(self) -> float | None:
        """Return in how many seconds it locks itself, unless somebody uses it."""
        if self.is_locked:
            return None
        return max(0.0, (self._used_us + self._lock_after_us - self._steady_us()) / SECOND_US)

    async def unlock(self, opens: Opens) -> None:
        """Open the owner's key, keep what opens footage, and forget the rest. Raises ApiError."""
        owner = await self.open_owner(opens)
        if self.locking.is_set():
            raise locked()
        if self._unlocked is not None:
            return
        films = Films(owner.identity)
        drafts = Drafts(films, new_id=lambda: self.random(ID_BYTES).hex())
        self._unlocked = Unlocked(owner.public, films, drafts, SignedAddresses(self.random(KEY_BYTES)))
        self._left_us = None
        self.used()
        log.info("console_unlocked")
        self.hub.tell("state", locked=False)

    async def open_owner(self, opens: Opens) -> OwnerKey:
        """Open the whole owner's key for a moment; one attempt after the other, and slower after wrong ones."""
        async with self._opening:
            wait_s = self.attempts.wait_s(self._steady_us())
            if wait_s > 0:
                raise ApiError(429, f"wait {wait_s:.0f} s before the next attempt", wait_s=wait_s)
            try:
                owner = await asyncio.to_thread(opens)
            except (PassphraseError, PasskeyError) as error:
                self.attempts.failed(self._steady_us())
                self._shown_us = self._steady_us()
                raise ApiError(403, str(error), wait_s=self.attempts.wait_s(self._steady_us())) from error
            except VaultError as error:
                raise ApiError(500, str(error)) from error
            self.attempts.succeeded()
        if self._unlocked is not None and owner.public != self._unlocked.public:
            raise ApiError(403, "this opens another owner's key than the one that unlocked the console", wait_s=0.0)
        return owner

    def by_passphrase(self, passphrase: str) -> Opens:
        """Return what opens the owner's key with a passphrase."""
        return lambda: unlock_owner(read_secret(self._owner_key), passphrase)

    def mine(self, name: str) -> Device:
        """Return a device that seals to the owner who unlocked; raises ApiError, NoDeviceError."""
        device = self.household.device(name)
        if device.owner != self.unlocked.public:
            raise ApiError(409, f"{name} seals to another owner's key; it opens with that owner's console")
        return device

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Hold off locking while a decision is being kept."""
        self._deciding += 1
        self._decided.clear()
        try:
            yield
        finally:
            self._deciding -= 1
            if not self._deciding:
                self._decided.set()

    def lock(self) -> None:
        """Begin to lock: from now on everything is refused."""
        if not self.is_locked or self._opening.locked():  # what is being unlocked is locked, too
            log.info("console_locked")
            self.hub.tell("state", locked=True)
            self._end()

    def _end(self) -> None:
        self.locking.set()
        self.hub.end()

    async def decided(self) -> None:
        """Return once no decision is being kept any more."""
        await self._decided.wait()

    def look_around(self) -> None:
        """Lock if nobody is there any more; to be called now and then."""
        now_us = self._steady_us()
        if self.is_locked:
            if self._shown_us is not None and now_us - self._shown_us >= SHOWN_S * SECOND_US:
                self._end()
            return
        if self.hub.pages:
            self._left_us = None
        elif self._left_us is None:
            self._left_us = now_us
        left = self._left_us is not None and now_us - self._left_us >= LEFT_S * SECOND_US
        if left or now_us - self._used_us >= self._lock_after_us:
            self.lock()
