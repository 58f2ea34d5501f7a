"""The seal of capture: each segment's digest, signed by the device into one chain for each camera.

A link is a `SegmentStatement` in a DSSE envelope; `prev` is the SHA-256 of the payload before it, 64 zeros at first.
`sign` only makes a statement. The chain moves on when the clip ring has the segment's record on disk: then
`Chains.extend` moves the head, in memory. A statement that was signed and never stored therefore leaves no gap. The
table's head follows with the rows of the index (`settle`); what a crash leaves behind it is learned again from the
clip files (`learn`) before anything is signed, so that no two segments share a `seq`.

Beside the head stands how far eviction has taken links away (`let_go`): every link above that, up to the head, was
stored here and never given up, so it must be here. Below it pins may have left links standing, in any pattern.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from broker.wire.encoding import WireError
from broker.wire.envelopes import parse_envelope, sign_envelope
from broker.wire.records import SegmentStatement

from .errors import ClipError
from .keys import DeviceKey
from .state import Row, Schema, State, Transaction, Values

FIRST_PREV = "0" * 64

SCHEMA = Schema(
    "seals",
    (
        (
            """CREATE TABLE chain_heads (
                device TEXT NOT NULL, camera TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL,
                PRIMARY KEY (device, camera)) STRICT""",
        ),
        (
            # Of what went before this column was there, nothing is claimed.
            "ALTER TABLE chain_heads ADD COLUMN let_go INTEGER NOT NULL DEFAULT -1",
            "UPDATE chain_heads SET let_go = seq",
        ),
    ),
)


class Reader(Protocol):
    """What can be asked: a State, or a Transaction."""

    def query(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a SELECT."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a camera's chain; before the first, `seq` is -1."""

    seq: int = -1
    hash: str = FIRST_PREV


@dataclass(frozen=True, slots=True)
class Extent:
    """A chain as the state knows it: its head, and the highest number that eviction took or start-up never saw."""

    device: str
    camera: str
    head: Head
    let_go: int


@dataclass(frozen=True, slots=True)
class Link:
    """A parsed statement and the hash that the next one names; its signature may be unchecked."""

    statement: SegmentStatement
    hash: str

    @property
    def head(self) -> Head:
        """The chain's head once this link is stored."""
        return Head(self.statement.seq, self.hash)


class Chains:
    """Where each chain of an open state stands, by what is on disk: ahead of the table by what is not indexed yet.

    One for a state (`State.companion`), shared by who signs and by the clip ring, which alone moves it. Beside that it
    remembers what was signed last, so that it need not be parsed to be stored.
    """

    def __init__(self) -> None:
        self._heads: dict[tuple[str, str], Head] = {}
        self._signed: tuple[bytes, Link] | None = None

    def head(self, reader: Reader, *, device: str, camera: str) -> Head:
        """Return a camera's last stored link."""
        found = self._heads.get((device, camera))
        if found is None:
            found = self._heads.setdefault((device, camera), read_head(reader, device=device, camera=camera))
        return found

    def signed(self, envelope: bytes, link: Link) -> None:
        """Remember what an envelope of ours says."""
        self._signed = (envelope, link)

    def read(self, envelope: bytes) -> Link:
        """Return what `read_link` returns."""
        signed = self._signed
        return signed[1] if signed is not None and signed[0] == envelope else read_link(envelope)

    def check_next(self, reader: Reader, link: Link) -> None:
        """Raise ClipError if `link` does not follow the head."""
        statement = link.statement
        head = self.head(reader, device=statement.device, camera=statement.camera)
        if (statement.seq, statement.prev) != (head.seq + 1, head.hash):
            raise ClipError(
                f"{statement.device}/{statement.camera}: statement {statement.seq} does not follow {head.seq}; "
                "sign each segment after the one before is stored"
            )

    def extend(self, link: Link) -> None:
        """Move the head to a link that follows it, and is on disk."""
        self._heads[link.statement.device, link.statement.camera] = link.head

    def forget(self) -> None:
        """Let the tables say where the chains stand: start-up has learnt from the files."""
        self._heads.clear()


class CaptureChain:
    """One camera's chain, for who signs: the film side of the daemon, one thread at a time for each camera."""

    def __init__(self, state: State, device_key: DeviceKey, *, device: str, camera: str) -> None:
        state.migrate(SCHEMA)
        self._state = state
        self._key = device_key
        self._device = device
        self._camera = camera
        self._chains = state.companion(Chains)

    @property
    def head(self) -> Head:
        """The last link that is stored."""
        return self._chains.head(self._state, device=self._device, camera=self._camera)

    def sign(self, *, start_us: int, duration_us: int, sha256: str) -> bytes:
        """Return the envelope for the next segment; `sha256` is of its plaintext, in hex. Nothing is stored by it."""
        head = self.head
        statement = SegmentStatement(
            device=self._device,
            camera=self._camera,
            seq=head.seq + 1,
            start=start_us,
            duration_us=duration_us,
            sha256=sha256,
            prev=head.hash,
        )
        payload = statement.payload()
        envelope = sign_envelope(payload, statement.payload_type(), self._key.signing)
        self._chains.signed(envelope, Link(statement, hashlib.sha256(payload).hexdigest()))
        return envelope


def read_link(envelope: bytes) -> Link:
    """Parse a statement without checking its signature; raises ClipError."""
    try:
        statement = SegmentStatement.unverified(envelope)
        return Link(statement, payload_hash(envelope))
    except WireError as error:
        raise ClipError(f"the segment's statement can't be read: {error}") from error


def payload_hash(envelope: bytes) -> str:
    """Return the SHA-256, in hex, of an envelope's payload: what the next link of a chain names as `prev`."""
    return hashlib.sha256(parse_envelope(envelope).payload).hexdigest()


def read_head(reader: Reader, *, device: str, camera: str) -> Head:
    """Return a camera's last link as the table has it."""
    rows = reader.query("SELECT seq, hash FROM chain_heads WHERE device = ? AND camera = ?", (device, camera))
    return Head(*rows[0]) if rows else Head()


def extents(reader: Reader) -> list[Extent]:
    """Return every chain, by device and camera."""
    rows = reader.query("SELECT device, camera, seq, hash, let_go FROM chain_heads ORDER BY device, camera")
    return [Extent(device, camera, Head(seq, digest), gone) for device, camera, seq, digest, gone in rows]


def settle(tx: Transaction, *, device: str, camera: str, head: Head) -> None:
    """Let the table's head catch up with `head`, to which every link is on disk."""
    tx.execute(
        "INSERT INTO chain_heads (device, camera, seq, hash, let_go) VALUES (?, ?, ?, ?, -1) "
        "ON CONFLICT DO UPDATE SET seq = excluded.seq, hash = excluded.hash WHERE excluded.seq > seq",
        (device, camera, head.seq, head.hash),
    )


def learn(tx: Transaction, link: Link) -> None:
    """Move the head to `link` if that is further on: what recovery does with the statements it finds in files.

    If links are missing in between, they are not claimed to be here: the file that holds them may come later, or never.
    """
    statement = link.statement
    tx.execute(
        "INSERT INTO chain_heads (device, camera, seq, hash, let_go) VALUES (?1, ?2, ?3, ?4, ?3 - 1) "
        "ON CONFLICT DO UPDATE SET seq = ?3, hash = ?4, let_go = CASE WHEN ?3 = seq + 1 THEN let_go ELSE ?3 - 1 END "
        "WHERE ?3 > seq",
        (statement.device, statement.camera, statement.seq, link.hash),
    )


def let_go(tx: Transaction, *, device: str, camera: str, seq: int) -> None:
    """Note that eviction took links up to `seq`, so that nobody misses them."""
    tx.execute(
        "UPDATE chain_heads SET let_go = max(let_go, ?3) WHERE device = ?1 AND camera = ?2", (device, camera, seq)
    )
