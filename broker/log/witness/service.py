"""A witness: vouches that the logs it knows only grow. Synchronous and thread-safe; HTTP is `server`'s.

A request for a log is decided, kept and signed under that log's lock, so that of two at once the later sees what the
earlier did. Kept is the note with the new cosignature in it, before it is answered: head and time of the last
cosignature are one file, and can't come apart.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.log.errors import LogDamagedError
from broker.wire.encoding import WireError, format_time, to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.notes import COSIGNATURE_V1, Note, VerifierKey, check_key_name, cosign_note, cosigned_at, parse_note

from .answer import (
    Evidence,
    Head,
    LogKeys,
    Refusal,
    Submission,
    judge,
    parse_head,
    read_submission,
    signing_time,
)
from .store import WitnessStore

log = structlog.get_logger()

_SECOND_US = 1_000_000
_DAMAGED = "what was cosigned last can't be used: nothing is cosigned until the operator has seen to it"


class ClockBehindError(Exception):
    """The clock stands before the last cosignature; nothing can be signed until it is right."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What is vouched for, and since when; `line` is the cosignature as a line of a note."""

    head: Head
    at_s: int
    line: bytes


class Witness:
    """Cosigns growing logs with one key. `logs` are the keys of each log it serves."""

    def __init__(
        self, *, name: str, key: Ed25519PrivateKey, logs: LogKeys, store: WitnessStore, now_us: Callable[[], int]
    ) -> None:
        self.verifier = VerifierKey(check_key_name(name), COSIGNATURE_V1, public_bytes(key))
        self.logs = logs
        self._key = key
        self._store = store
        self._now_us = now_us
        self._locks = {origin: threading.Lock() for origin in logs}
        self._seen_us: dict[str, int] = {}
        self._sure: dict[str, Cosigned] = {}

    def open(self) -> None:
        """Claim the store and check what it holds; raises CosignerInUseError or LogDamagedError."""
        self._store.claim()
        try:
            for origin in self.logs:
                self._latest(origin)
        except LogDamagedError:
            self._store.release()
            raise

    def close(self) -> None:
        """Let go of the store."""
        self._store.release()

    def add_checkpoint(self, body: bytes) -> Cosigned | Refusal:
        """Answer a request. OSError: what is stored is unknown, nothing may be answered; ClockBehindError likewise."""
        asked = read_submission(body, self.logs)
        if isinstance(asked, Refusal):
            return asked
        origin = asked.head.checkpoint.origin
        with self._locks[origin]:
            self._seen_us[origin] = self._now_us()
            latest = self._latest(origin)
            refusal = judge(asked, None if latest is None else latest.head)
            if refusal is not None:
                self._note_evidence(refusal)
                return refusal
            return self._cosign(origin, asked, latest)

    def status(self) -> dict[str, Any]:
        """Return what anybody may know of this witness."""
        return {
            "kind": "witness",
            "name": self.verifier.name,
            "key": str(self.verifier),
            "logs": [self._log_status(origin) for origin in self.logs],
        }

    def evidence(self) -> Iterator[dict[str, Any]]:
        """Yield what is kept against the logs."""
        for origin in self.logs:
            yield from self._store.evidence(origin)

    def _cosign(self, origin: str, asked: Submission, latest: Cosigned | None) -> Cosigned:
        last_s = 0 if latest is None else latest.at_s
        at_s = signing_time(self._now_us() // _SECOND_US, last_s)
        if at_s is None:
            raise ClockBehindError(f"the clock is behind the last cosignature, which was made at {last_s}")
        sure = self._sure.pop(origin, None)  # back only once it is kept
        if sure is None or sure.head.note.text != asked.head.note.text or sure.at_s != at_s:
            note = cosign_note(asked.head.note, self.verifier.name, self._key, at_s=at_s)
            self._store.keep(origin, str(note).encode())
            sure = Cosigned(asked.head, at_s, last_line(note))
            if latest is not None:
                self._store.clear(Evidence("unproven", latest.head, asked.head))
            log.info("cosigned", origin=origin, size=asked.head.checkpoint.size)
        self._sure[origin] = sure
        return sure

    def _latest(self, origin: str) -> Cosigned | None:
        """Read what was cosigned last. Our own signature on it suffices: a log may have changed its key since."""
        data = self._store.latest(origin)
        if data is None:
            return None
        try:
            return self._parse(origin, data)
        except WireError as error:
            raise self._store.damaged(origin, error) from error

    def _parse(self, origin: str, data: bytes) -> Cosigned:
        note = parse_note(data, what="kept checkpoint")
        checkpoint, at_s = parse_head(note), cosigned_at(note, self.verifier)
        if at_s is None or checkpoint.origin != origin:
            raise WireError("it is not of this log, or not cosigned with this key")
        return Cosigned(Head(checkpoint, Note(note.text, note.signatures[:-1])), at_s, last_line(note))

    def _note_evidence(self, refusal: Refusal) -> None:
        found = refusal.evidence
        if found is None:
            return
        first, second = found.first.checkpoint, found.second.checkpoint
        where = {"origin": first.origin, "size": first.size, "other_size": second.size}
        try:
            is_new = self._store.keep_evidence(found, now_us=self._now_us())
        except OSError as error:  # the refusal stands all the same
            log.warning("evidence_not_kept", kind=found.kind, error=str(error), **where)
            return
        if is_new:
            log.warning("evidence_kept", kind=found.kind, **where)

    def _log_status(self, origin: str) -> dict[str, Any]:
        status: dict[str, Any] = {"origin": origin, "size": None, "root": None, "cosigned_at": None}
        try:
            latest = self._latest(origin)
        except (LogDamagedError, OSError) as error:
            # Everybody may read the status: of the disk it says what is wrong, not where. The start says that.
            log.warning("kept_checkpoint_unreadable", origin=origin, error=str(error))
            status["error"] = _DAMAGED if isinstance(error, LogDamagedError) else error.strerror or "the disk fails"
            latest = None
        if latest is not None:
            checkpoint = latest.head.checkpoint
            status |= {
                "size": checkpoint.size,
                "root": to_base64(checkpoint.root),
                "cosigned_at": format_time(latest.at_s * _SECOND_US),
            }
        seen_us = self._seen_us.get(origin)
        status["last_seen"] = None if seen_us is None else format_time(seen_us)
        status["evidence"] = self._store.evidence_count(origin)
        return status


def last_line(note: Note) -> bytes:
    """Return the signature that was added last, as a line of a note."""
    return str(Note("", note.signatures[-1:])).removeprefix("\n").encode()
