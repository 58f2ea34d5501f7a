"""A public log, who serves it, and its parties in memory: sign on demand, and can be bent by the fields a test sets."""

from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.envelopes import public_bytes
from broker.wire.geo import Point
from broker.wire.merkle import inclusion_proof, leaf_hash, node_hash, root_hash
from broker.wire.notes import COSIGNATURE_V1, ED25519, Checkpoint, VerifierKey, cosign_note, sign_note
from broker.wire.proofs import Cosigner, Policy, Proof, make_policy, parse_policy
from broker.wire.records import EXCLUDED_PURPOSES, Agency, Area, Request, Revocation, Update
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US
from broker.wire.tiles import TILE_WIDTH, encode_entries, parse_tile_path
from broker.wire.topics import Announcement
from device.link.logread import LogAddress, LogReading

NOW_US = 1_790_000_000_000_000
PLACE = Point.from_degrees(52.5200, 13.4050)
RECIPIENT = "age1qrw6crccd0h8jxdvlrx4ftqwqv3xhyqkxjufvhdnt57hup5cddts68lznn"


def signing_key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


class LogSimulator:
    """An append-only log with witnesses and mirrors that cosign all it says, until a test bends it.

    `now_s` is the time of its cosignatures; `fork` and `edit` do what a log must not.
    """

    def __init__(
        self,
        *,
        origin: str = "log.example/requests",
        seed: int = 1,
        witnesses: int = 0,
        mirrors: int = 0,
        now_s: int = NOW_US // 1_000_000,
    ) -> None:
        self.origin = origin
        self.key = signing_key(seed)
        self.now_s = now_s
        self.witnesses = {f"witness-{number}": signing_key(100 + number) for number in range(witnesses)}
        self.mirrors = {f"mirror-{number}": signing_key(120 + number) for number in range(mirrors)}
        self.entries: list[bytes] = []
        self._hashes: dict[tuple[int, int], bytes] = {}

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.origin, ED25519, public_bytes(self.key))

    @property
    def policy_text(self) -> str:
        witnesses, mirrors = _cosigners(self.witnesses), _cosigners(self.mirrors)
        return make_policy(
            self.verifier,
            witnesses=witnesses,
            mirrors=mirrors,
            witnesses_needed=len(witnesses),
            mirrors_needed=len(mirrors),
        )

    @property
    def policy(self) -> Policy:
        return parse_policy(self.policy_text)

    def append(self, entry: bytes) -> int:
        self.entries.append(entry)
        return len(self.entries) - 1

    def edit(self, index: int, entry: bytes) -> None:
        self.entries[index] = entry
        self._hashes.clear()

    def fork(self, size: int) -> "LogSimulator":
        """Return another log of the same keys, which begins with the same entries."""
        other = LogSimulator(origin=self.origin, now_s=self.now_s)
        other.key, other.witnesses, other.mirrors = self.key, self.witnesses, self.mirrors
        other.entries = self.entries[:size]
        return other

    def read(self, level: int, index: int) -> bytes:
        found = self._hashes.get((level, index))
        if found is None:
            if level == 0:
                found = leaf_hash(self.entries[index])
            else:
                found = node_hash(self.read(level - 1, 2 * index), self.read(level - 1, 2 * index + 1))
            self._hashes[level, index] = found
        return found

    def head(self, size: int | None = None) -> bytes:
        """Return the signed note of the log's first entries, of all by default."""
        size = len(self.entries) if size is None else size
        checkpoint = Checkpoint(self.origin, size, root_hash(size, self.read))
        note = sign_note(checkpoint.text, self.origin, self.key)
        for name, key in {**self.witnesses, **self.mirrors}.items():
            note = cosign_note(note, name, key, at_s=self.now_s)
        return str(note).encode()

    def proof(self, index: int, size: int | None = None) -> bytes:
        size = len(self.entries) if size is None else size
        path = tuple(inclusion_proof(index, size, self.read))
        return str(Proof(index, path, self.head(size))).encode()

    def logged(self, index: int) -> Announcement:
        return Announcement(self.entries[index], self.proof(index))

    def file(self, path: str) -> bytes | None:
        """Return a file as the log serves it: tiles as wide as asked for, if there is as much."""
        if path == "checkpoint":
            return self.head()
        tile = parse_tile_path(path)
        size = len(self.entries)
        first, end = tile.index * TILE_WIDTH, tile.index * TILE_WIDTH + tile.width
        if tile.level == "entries":
            return encode_entries(self.entries[first:end]) if end <= size else None
        if end > size >> (8 * tile.level):
            return None
        return b"".join(self.read(8 * tile.level, at) for at in range(first, end))


class LogServer:
    """Serves logs over HTTP, each below the host of its name; what is asked is written down, and may be bent.

    `instead` holds other answers by (host, path); a host that is `down` can't be reached.
    """

    def __init__(self, **logs: LogSimulator) -> None:
        self.logs = logs
        self.asked: list[tuple[str, str]] = []
        self.instead: dict[tuple[str, str], bytes] = {}
        self.down: set[str] = set()

    def address(self, name: str = "log") -> LogAddress:
        return LogAddress(name, f"http://{name}/of-the-log", own=name == "log")

    def reading(self) -> LogReading:
        return LogReading(transport=httpx.MockTransport(self._answer))

    def found(self, host: str, path: str) -> bytes | None:
        """Return what one of them serves."""
        return self.instead.get((host, path), self.logs[host].file(path))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        host, path = request.url.host, request.url.path.removeprefix("/of-the-log/")
        self.asked.append((host, path))
        if host in self.down:
            raise httpx.ConnectError("nobody listens", request=request)
        found = self.found(host, path)
        return httpx.Response(404) if found is None else httpx.Response(200, stream=httpx.ByteStream(found))


class NeighbourhoodSimulator:
    """An operator, one admitted agency and the log between them."""

    def __init__(self, *, now_us: int = NOW_US, log: LogSimulator | None = None) -> None:
        self.now_us = now_us
        self.log = log or LogSimulator()
        self.operator = signing_key(2)
        self.agency_key = signing_key(3)
        self.agency = Agency(
            agency="springfield-pd",
            name="Springfield Police Department",
            domain="police.springfield.example",
            contact="records@police.springfield.example",
            key=public_bytes(self.agency_key),
            admitted_at=now_us - DAY_US,
            admitted_by="The operator",
            evidence="Letter of the city clerk, file 12/2026",
        )
        self.admission = self._once(self.agency.sign(self.operator))

    def request(self, **changes: Any) -> Request:
        """Return a request that keeps every rule, changed as told."""
        request = Request(
            agency=self.agency.agency,
            case="2026-0815",
            incident="package-theft",
            description="A parcel was taken from a porch. We look for the person who took it.",
            contact="cases@police.springfield.example",
            area=Area(lat_e7=PLACE.lat_e7, lon_e7=PLACE.lon_e7, radius_m=200),
            start=self.now_us - 2 * HOUR_US,
            end=self.now_us - MINUTE_US,
            devices=("camera", "doorbell"),
            recipient=RECIPIENT,
            purpose="Identify who took the parcel",
            retention_days=90,
            sharing=(),
            excludes=EXCLUDED_PURPOSES,
            posted_at=self.now_us,
            expires_at=self.now_us + 14 * DAY_US,
        )
        return request.model_copy(update=changes)

    def post(self, request: Request) -> int:
        return self._once(request.sign(self.agency_key))

    def _once(self, entry: bytes) -> int:
        """Log an entry; the very same one stands where it stood, as the intake has it."""
        return self.log.entries.index(entry) if entry in self.log.entries else self.log.append(entry)

    def update(self, leaf: str, kind: str, **changes: Any) -> int:
        record = Update(agency=self.agency.agency, request=leaf, kind=kind, note="Said.", at=self.now_us)  # type: ignore[arg-type]
        return self.log.append(record.model_copy(update=changes).sign(self.agency_key))

    def rotate(self, seed: int, **changes: Any) -> int:
        """Admit the agency under another key."""
        self.agency_key = signing_key(seed)
        newer = {"key": public_bytes(self.agency_key), "admitted_at": self.agency.admitted_at + 1, **changes}
        self.agency = self.agency.model_copy(update=newer)
        return self.log.append(self.agency.sign(self.operator))

    def revoke(self, **changes: Any) -> int:
        record = Revocation(
            agency=self.agency.agency, at=self.now_us, revoked_by="The operator", reason="It asked for a protest."
        )
        return self.log.append(record.model_copy(update=changes).sign(self.operator))

    def announced(self, **changes: Any) -> tuple[str, bytes]:
        """Post a request; return its leaf hash and the announcement's payload."""
        announcement = self.log.logged(self.post(self.request(**changes)))
        return announcement.leaf, announcement.encode()


def _cosigners(keys: dict[str, Ed25519PrivateKey]) -> list[Cosigner]:
    return [Cosigner(name, VerifierKey(name, COSIGNATURE_V1, public_bytes(key))) for name, key in keys.items()]
