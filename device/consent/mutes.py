"""What the owner does not want to be told of, and what they were told of already.

1. A mute is a preference, no decision: the request stays on offer, nothing stands in the ledger, nobody hears of it.
2. A request is noticed once, on this device, whoever asks first: that it is told and that it was are one step.
3. What is muted is not noticed. Where it is unmuted while it still waits, its one notice comes then.
4. How many mutes there are is bounded.

Blocking; the daemon calls it off the event loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from broker.wire.encoding import WireError
from broker.wire.records import INCIDENTS, Request
from broker.wire.topics import NAME_FORM, parse_announcement
from device.vault.state import Schema, State, Transaction

from .errors import ConsentError
from .requests import RequestState, RequestStore, StoredRequest

SCHEMA = Schema(
    "mutes",
    (
        (
            """CREATE TABLE mutes (
                kind TEXT NOT NULL, value TEXT NOT NULL, since_us INTEGER NOT NULL,
                PRIMARY KEY (kind, value)) STRICT, WITHOUT ROWID""",
            """CREATE TABLE notices (
                leaf TEXT PRIMARY KEY REFERENCES requests (leaf) ON DELETE CASCADE,
                at_us INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
        ),
    ),
)
MOST_MUTES = 1_000
MOST_READ = 4_096  # requests of which it is remembered whose they are


class MuteKind(StrEnum):
    """What a mute is about: one agency, one type of incident, or all that this device is asked."""

    AGENCY = "agency"
    INCIDENT = "incident"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Mute:
    """One mute; `value` is the agency's id, the incident's name, or this device's own."""

    kind: MuteKind
    value: str
    since_us: int


class Mutes:
    """Mutes and notices of one device."""

    def __init__(self, state: State, *, store: RequestStore, device: str, now_us: Callable[[], int]) -> None:
        state.migrate(SCHEMA)
        self._state = state
        self._store = store
        self._device = device
        self._now_us = now_us
        self._read: dict[str, tuple[str, str]] = {}

    def every(self, tx: Transaction | None = None) -> list[Mute]:
        """Return all mutes, the oldest first."""
        rows = (tx or self._state).query("SELECT kind, value, since_us FROM mutes ORDER BY since_us, kind, value")
        return [Mute(MuteKind(kind), str(value), int(since_us)) for kind, value, since_us in rows]

    def mute(self, kind: MuteKind, value: str) -> None:
        """Mute; what is muted already stays so since then. Raises ConsentError for what can't be muted."""
        self._check(kind, value)
        with self._state.transaction() as tx:
            ((count,),) = tx.query("SELECT count(*) FROM mutes WHERE NOT (kind = ? AND value = ?)", (str(kind), value))
            if count >= MOST_MUTES:
                raise ConsentError(f"{count} mutes are as many as are kept; take some back first")
            tx.execute("INSERT INTO mutes VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (str(kind), value, self._now_us()))

    def unmute(self, kind: MuteKind, value: str) -> None:
        """Take a mute back; nothing happens if there is none."""
        with self._state.transaction() as tx:
            tx.execute("DELETE FROM mutes WHERE kind = ? AND value = ?", (str(kind), value))

    def muted(self) -> Callable[[StoredRequest], bool]:
        """Return what tells, by the mutes of this moment, whether a request is muted."""
        return self._judge(self.every())

    def waiting(self) -> int:
        """Return how many requests wait for the owner; those that are muted don't."""
        mutes = self.every()
        if not mutes:
            return self._store.count(RequestState.OFFERED)
        muted = self._judge(mutes)
        return sum(not muted(stored) for stored in self._store.every(RequestState.OFFERED))

    def take_notices(self) -> list[str]:
        """Return the leaf hashes of what waits and was never noticed, the oldest first: from now on it was."""
        now_us = self._now_us()
        with self._state.transaction() as tx:
            muted = self._judge(self.every(tx))
            noticed = {leaf for (leaf,) in tx.query("SELECT leaf FROM notices")}
            offered = self._store.every(RequestState.OFFERED, tx=tx)[::-1]
            new = [stored.leaf for stored in offered if stored.leaf not in noticed and not muted(stored)]
            tx.execute_many("INSERT INTO notices VALUES (?, ?)", [(leaf, now_us) for leaf in new])
        return new

    def _check(self, kind: MuteKind, value: str) -> None:
        match kind:
            case MuteKind.AGENCY if not NAME_FORM.fullmatch(value):
                raise ConsentError(f"{value[:70]!r} is no agency's id")
            case MuteKind.INCIDENT if value not in INCIDENTS:
                raise ConsentError(f"{value[:70]!r} is no type of incident; there are {', '.join(INCIDENTS)}")
            case MuteKind.DEVICE if value != self._device:
                raise ConsentError(f"{value[:70]!r} is not this device; this is {self._device}")

    def _judge(self, mutes: list[Mute]) -> Callable[[StoredRequest], bool]:
        values = {kind: {mute.value for mute in mutes if mute.kind is kind} for kind in MuteKind}
        agencies, incidents = values[MuteKind.AGENCY], values[MuteKind.INCIDENT]

        def muted(stored: StoredRequest) -> bool:
            if self._device in values[MuteKind.DEVICE]:
                return True
            if not (agencies or incidents):
                return False
            agency, incident = self._whose(stored)
            return agency in agencies or incident in incidents

        return muted

    def _whose(self, stored: StoredRequest) -> tuple[str, str]:
        """Return a request's agency and incident; it says the same for ever, since its name is its hash."""
        found = self._read.get(stored.leaf)
        if found is None:
            try:
                request = Request.unverified(parse_announcement(stored.announcement).envelope)
            except WireError:  # an announcement of an earlier version's form
                return "", ""
            if len(self._read) >= MOST_READ:
                self._read.clear()
            found = self._read[stored.leaf] = request.agency, request.incident
        return found
