"""The public log, seen from an agency: entries are submitted, and waited for; its files are read. Keeps no state.

A log may take an entry (202) before enough witnesses have confirmed it. Then its proof is asked for until it is there,
for as long as `Patience` says. A log that forgot the entry meanwhile is sent the same bytes again: an envelope is never
made anew while it may be in the log, so that nothing is posted twice.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from broker.wire.encoding import WireError
from broker.wire.merkle import leaf_hash
from broker.wire.notes import MAX_NOTE_BYTES, Checkpoint
from broker.wire.proofs import MAX_POLICY_BYTES, MAX_PROOF_BYTES, Policy, verify_proof
from broker.wire.tiles import MAX_ENTRIES_BYTES, TILE_WIDTH, Tile, decode_entries

from .errors import AwaitingError, RemoteError, UnreachableError
from .line import NOT_FOUND, UNAVAILABLE, Line

_PAUSE_S = 2
_LONGEST_PAUSE_S = 15


@dataclass(frozen=True, slots=True)
class Submitted:
    """An entry that is logged: the proof (a tlog-proof's bytes) was verified under the pinned policy."""

    index: int
    leaf: str
    proof: bytes


@dataclass(frozen=True, slots=True)
class Promised:
    """An entry that the log says it took, and that is not published yet: nothing of it is proven."""

    index: int
    leaf: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an entry's publication is waited for; `told` hears how many seconds it has been."""

    most_s: float = 120.0
    sleep: Callable[[float], None] = time.sleep
    now_s: Callable[[], float] = time.monotonic
    told: Callable[[float], None] = lambda _waited_s: None


class LogClient:
    """The public log; `url` is where `entries`, `proof` and `policy` live."""

    def __init__(
        self, url: str, *, policy: Policy, http: httpx.Client | None = None, patience: Patience | None = None
    ) -> None:
        self._line = Line(url, http)
        self._policy = policy
        self._patience = patience or Patience()

    def submit(self, envelope: bytes) -> Submitted:
        """Have an envelope logged, or found there, wait until it is published, and verify the proof.

        Raises RemoteError; UnreachableError when the same call may succeed later, AwaitingError when it was taken.
        """
        sent = self.send(envelope)
        return sent if isinstance(sent, Submitted) else self._await(envelope, sent)

    def send(self, envelope: bytes) -> Submitted | Promised:
        """Have an envelope logged, or found there, and don't wait."""
        where = self._line.url
        body = self._line.json("POST", "/entries", content=envelope, headers={"Content-Type": "application/json"})
        leaf = leaf_hash(envelope).hex()
        match body:
            case {"index": int(index), "leaf": str(said), "proof": str(proof)} if type(index) is int:
                found = self._proven(envelope, proof.encode())
                if (said, index) != (leaf, found.index):
                    raise RemoteError(f"{where} names another entry than its proof does")
                return found
            case {"index": int(index), "leaf": str(said)} if "proof" not in body and type(index) is int and index >= 0:
                if said != leaf:
                    raise RemoteError(f"{where} says that it took another entry than it was sent")
                return Promised(index, leaf)
        raise RemoteError(f"{where} took the entry but gave no proof")

    def proof(self, envelope: bytes) -> Submitted | None:
        """Return the proof of an entry that was sent; None while the log has it and has not published it.

        Raises RemoteError, with status 404 where the log does not hold it.
        """
        try:
            return self._ask(envelope)
        except RemoteError as error:
            if error.status != UNAVAILABLE:
                raise
            return None

    def checkpoint(self) -> tuple[bytes, Checkpoint]:
        """Return the log's published checkpoint, as a note and checked under the pinned policy."""
        headers = {"Cache-Control": "no-cache"}
        note = self._line.exchange("GET", "/checkpoint", headers=headers, max_bytes=MAX_NOTE_BYTES)
        try:
            return note, self._policy.check(note)
        except WireError as error:
            raise RemoteError(f"{self._line.url}: {error}; the pinned policy does not accept it") from error

    def entries(self, number: int, width: int) -> list[bytes]:
        """Return the first `width` entries of bundle `number`; nothing in them is checked yet."""
        wanted = Tile("entries", number, width)
        try:
            data, has = self._line.exchange("GET", f"/{wanted.path}", max_bytes=MAX_ENTRIES_BYTES), width
        except RemoteError as error:
            if error.status != NOT_FOUND or width == TILE_WIDTH:
                raise
            full = Tile("entries", number)  # it has grown since, and the partial one may be gone
            data, has = self._line.exchange("GET", f"/{full.path}", max_bytes=MAX_ENTRIES_BYTES), TILE_WIDTH
        try:
            return decode_entries(data, width=has)[:width]
        except WireError as error:
            raise RemoteError(f"{self._line.url}/{wanted.path}: {error}") from error

    def _await(self, envelope: bytes, sent: Promised) -> Submitted:
        patience = self._patience
        began_s, pause_s = patience.now_s(), _PAUSE_S
        while (waited_s := patience.now_s() - began_s) < patience.most_s:
            patience.told(waited_s)
            patience.sleep(min(pause_s, patience.most_s - waited_s))
            try:
                return self._ask(envelope)
            except UnreachableError:
                pause_s = _LONGEST_PAUSE_S
            except RemoteError as error:
                if error.status == NOT_FOUND:
                    again = self.send(envelope)
                    if isinstance(again, Submitted):
                        return again
                elif error.status != UNAVAILABLE:
                    raise
                pause_s = max(1, min(error.retry_after_s or _PAUSE_S, _LONGEST_PAUSE_S))
        raise AwaitingError(
            f"{self._line.url} took it as entry {sent.index}, but did not publish it within {patience.most_s:g} s: its "
            "witnesses have not confirmed it yet. It is kept here, and nothing is posted twice; "
            "look again with: latchstring agency status",
            index=sent.index,
            leaf=sent.leaf,
        )

    def _ask(self, envelope: bytes) -> Submitted:
        leaf = leaf_hash(envelope).hex()
        return self._proven(envelope, self._line.exchange("GET", f"/proof/{leaf}", max_bytes=MAX_PROOF_BYTES))

    def _proven(self, envelope: bytes, proof: bytes) -> Submitted:
        try:
            index, _ = verify_proof(envelope, proof, self._policy)
        except WireError as error:
            where = self._line.url
            raise RemoteError(f"{where} gave a proof that the pinned policy does not accept: {error}") from error
        return Submitted(index, leaf_hash(envelope).hex(), proof)


def fetch_policy(url: str, *, http: httpx.Client | None = None) -> str:
    """Return a log's policy as its operator publishes it: trust on first use, to be compared by other means."""
    line = Line(url, http)
    data = line.exchange("GET", "/policy", max_bytes=MAX_POLICY_BYTES)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RemoteError(f"{line.url}/policy is not UTF-8") from error
