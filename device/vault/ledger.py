"""The ledger: every decision, hash-chained, signed by the device, and stored before it takes effect.

1. An entry is appended inside the caller's transaction: decision and state change are kept together or not at all.
2. Entry n names the SHA-256 of entry n - 1's payload (64 zeros at first); entries are never changed or deleted.
   Both are held by triggers too, so that a mistake elsewhere is refused by the database.
3. An entry is a DSSE envelope of type application/vnd.latchstring.ledger.v1+json over
   {"at": <RFC 3339>, "body": {…}, "kind": <text>, "prev": <hex>, "seq": <from 0>}.

Whoever holds the device's key could write the chain anew; what the chain shows is that nobody else did, and that no
entry is missing before the last.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from broker.wire.encoding import WireError, canonical, format_time, parse_canonical, parse_time
from broker.wire.envelopes import MAX_ENVELOPE_BYTES, open_envelope, parse_envelope, payload_type, sign_envelope

from .errors import LedgerError
from .keys import DeviceKey
from .state import Schema, State, Transaction

FIRST_PREV = "0" * 64
TYPE = payload_type("ledger")
FIELDS = {"seq": int, "prev": str, "at": str, "kind": str, "body": dict}
PAGE = 500

SCHEMA = Schema(
    "ledger",
    (
        (
            "CREATE TABLE ledger (seq INTEGER PRIMARY KEY, hash TEXT NOT NULL, envelope BLOB NOT NULL) STRICT",
            """CREATE TRIGGER ledger_is_never_changed BEFORE UPDATE ON ledger
                BEGIN SELECT RAISE(ABORT, 'the ledger is never changed'); END""",
            """CREATE TRIGGER ledger_is_never_deleted BEFORE DELETE ON ledger
                BEGIN SELECT RAISE(ABORT, 'the ledger is never deleted from'); END""",
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One decision; `envelope` is what was signed, `hash` what the next entry names."""

    seq: int
    at_us: int
    kind: str
    body: Mapping[str, Any]
    prev: str
    hash: str
    envelope: bytes

    @classmethod
    def parse(cls, envelope: bytes) -> "LedgerEntry":
        """Read an entry without checking its signature; raises LedgerError."""
        try:
            payload = parse_envelope(envelope).payload
            value = parse_canonical(payload, max_bytes=MAX_ENVELOPE_BYTES, what="ledger entry")
            _check_fields(value)
            at_us = parse_time(value["at"], what="ledger entry: at")
        except WireError as error:
            raise LedgerError(f"a ledger entry can't be read: {error}") from error
        return cls(
            seq=value["seq"],
            at_us=at_us,
            kind=value["kind"],
            body=value["body"],
            prev=value["prev"],
            hash=hashlib.sha256(payload).hexdigest(),
            envelope=envelope,
        )


class Ledger:
    """The device's ledger, in its state."""

    def __init__(self, state: State, device_key: DeviceKey | None = None) -> None:
        """Without a key it can be read and verified, not written."""
        state.migrate(SCHEMA)
        self._state = state
        self._key = device_key

    def append(self, tx: Transaction, kind: str, body: Mapping[str, Any], at_us: int) -> LedgerEntry:
        """Write a decision into the caller's transaction; it stands when that commits. Raises LedgerError."""
        if self._key is None:
            raise LedgerError("this ledger was opened for reading: it has no device key to sign with")
        last = tx.query("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1")
        seq, prev = (last[0][0] + 1, last[0][1]) if last else (0, FIRST_PREV)
        fields = {"seq": seq, "prev": prev, "at": format_time(at_us), "kind": kind, "body": dict(body)}
        try:
            envelope = sign_envelope(canonical(fields), TYPE, self._key.signing)
        except WireError as error:
            raise LedgerError(f"a {kind} entry can't be written: {error}") from error
        entry = LedgerEntry.parse(envelope)
        tx.execute("INSERT INTO ledger VALUES (?, ?, ?)", (seq, entry.hash, envelope))
        return entry

    def entries(self, *, after: int = -1, kind: str | None = None) -> Iterator[LedgerEntry]:
        """Yield the entries behind seq `after`, oldest first; of one kind, if given."""
        for _, envelope in self._rows(after):
            entry = LedgerEntry.parse(envelope)
            if kind in {None, entry.kind}:
                yield entry

    def export(self) -> Iterator[bytes]:
        """Yield each entry's envelope as a line: what an owner keeps elsewhere, and what anybody can verify."""
        for _, envelope in self._rows(-1):
            yield envelope + b"\n"

    def verify(self, public_key: bytes) -> list[str]:
        """Check every signature and link against the device's public key; returns what is wrong, line by line."""
        return verify_lines((envelope for _, envelope in self._rows(-1)), public_key)

    def _rows(self, after: int) -> Iterator[tuple[int, bytes]]:
        # In pages, so that a reader of a long ledger does not keep writers waiting.
        while rows := self._state.query(
            "SELECT seq, envelope FROM ledger WHERE seq > ? ORDER BY seq LIMIT ?", (after, PAGE)
        ):
            for seq, envelope in rows:
                yield seq, bytes(envelope)
            after = rows[-1][0]


def _check_fields(value: Any) -> None:
    if not isinstance(value, dict) or {name: type(part) for name, part in value.items()} != FIELDS:
        raise WireError(f"a ledger entry must have exactly {', '.join(sorted(FIELDS))}")


def verify_lines(envelopes: Iterator[bytes], public_key: bytes) -> list[str]:
    """Check an exported ledger: signatures, sequence and chain; returns what is wrong, line by line. Pure."""
    problems = []
    seq, prev = 0, FIRST_PREV
    for line in envelopes:
        envelope = line.rstrip(b"\n")
        try:
            entry = LedgerEntry.parse(envelope)
            open_envelope(envelope, payload_type=TYPE, key=public_key)
        except (LedgerError, WireError) as error:
            problems.append(f"entry {seq}: {error}")
            seq, prev = seq + 1, ""
            continue
        if entry.seq != seq:
            problems.append(f"entry {seq}: it says it is entry {entry.seq}; one is missing, doubled or moved")
        if prev and entry.prev != prev:
            problems.append(f"entry {seq}: it does not follow the entry before it")
        seq, prev = entry.seq + 1, entry.hash
    return problems
