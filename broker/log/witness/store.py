"""What a witness must not forget: for each log the newest head vouched for, and evidence. Files; it signs nothing.

    latest/<SHA-256 of the origin>             a signed note: the head, with the log's signature, and the witness's
    evidence/<SHA-256 of the origin>/<name>    JSON, see `StoredEvidence`
    .lock                                      held by the one process that may write

A mirror keeps its pending checkpoint in the same way, with the log's signature alone.

Contract:

1. One writer: `claim` refuses a second process until the first has ended.
2. When `keep` returns, the note is on stable storage under its name. When it raises, the old or the new one is there,
   whole; so what counts is read again before the next decision, never remembered from before the failure.
3. Nothing is answered that claims more than `keep` has returned for.
4. A note that can't be read or does not verify stops the start: whoever cosigns without knowing what it cosigned
   last can cosign a fork.
5. Evidence is bounded: the first forks are kept, of the rest the newest.

Steps of `keep`: draft written, draft synced, draft renamed over the note, folder synced. A draft that a killed process
left has no meaning and is overwritten by the next one.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.files import PUBLIC_FILE, PUBLIC_FOLDER, Fsync, make_folder, replace_durably
from broker.log.errors import LogDamagedError, LogError
from broker.wire.encoding import WireError, format_time, parse_json, to_base64
from broker.wire.notes import MAX_NOTE_BYTES

from .answer import Evidence

MAX_FORKS = 64
MAX_OTHERS = 16
MAX_EVIDENCE_BYTES = 4 * MAX_NOTE_BYTES


class CosignerInUseError(LogError):
    """Another process cosigns with this folder."""


def origin_hash(origin: str) -> str:
    """Return the name of a log's folder, as tlog-mirror writes it."""
    return hashlib.sha256(origin.encode()).hexdigest()


class WitnessStore:
    """The folder of one witness or mirror; `fsync` is a parameter for tests of power cuts."""

    def __init__(self, folder: Path, *, fsync: Fsync = os.fsync) -> None:
        self.folder = folder
        self._fsync = fsync
        self._lock: int | None = None

    def claim(self) -> None:
        """Become the only writer; raises CosignerInUseError."""
        make_folder(self.folder / "latest", mode=PUBLIC_FOLDER, fsync=self._fsync)
        make_folder(self.folder / "evidence", mode=PUBLIC_FOLDER, fsync=self._fsync)
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise CosignerInUseError(f"{self.folder} is in use by another process; stop that one first") from error
        self._lock = handle

    def release(self) -> None:
        """Let another process have it; harmless without a claim."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def latest(self, origin: str) -> bytes | None:
        """Return the note kept for a log, None if none ever was."""
        path = self._latest(origin)
        try:
            with path.open("rb") as file:
                return file.read(MAX_NOTE_BYTES + 1)
        except FileNotFoundError:
            return None

    def keep(self, origin: str, note: bytes) -> None:
        """Replace the note of a log durably (contract 2)."""
        replace_durably(self._latest(origin), note, mode=PUBLIC_FILE, fsync=self._fsync)

    def damaged(self, origin: str, error: WireError) -> LogDamagedError:
        """Return the error for a kept note that does not verify."""
        return LogDamagedError(
            f"{self._latest(origin)} can't be used: {error}. It keeps this key from vouching for two different logs: "
            "restore the file, or begin anew in another folder with another key"
        )

    def keep_evidence(self, evidence: Evidence, *, now_us: int) -> bool:
        """Keep two heads durably; returns whether they were not known. Beyond the bound contract 5 holds."""
        stored = StoredEvidence.of(evidence, now_us)
        folder = self._evidence(evidence.first.checkpoint.origin)
        make_folder(folder, mode=PUBLIC_FOLDER, fsync=self._fsync)
        if (folder / stored.name).exists():
            return False
        held = _oldest_first(folder.glob(f"{evidence.kind}-*.json"))
        if len(held) >= (MAX_FORKS if evidence.kind == "fork" else MAX_OTHERS):
            if evidence.kind == "fork":
                return False
            held[0].unlink(missing_ok=True)
        replace_durably(folder / stored.name, stored.encode(), mode=PUBLIC_FILE, fsync=self._fsync)
        return True

    def clear(self, evidence: Evidence) -> None:
        """Drop what turned out to be honest: the second head was unproven, and now is proven."""
        name = StoredEvidence.of(evidence, 0).name
        (self._evidence(evidence.first.checkpoint.origin) / name).unlink(missing_ok=True)

    def evidence(self, origin: str) -> Iterator[dict[str, Any]]:
        """Yield what is kept against a log, oldest first, as `StoredEvidence` writes it."""
        for path in _oldest_first(self._evidence(origin).glob("*.json")):
            try:
                yield parse_json(path.read_bytes(), max_bytes=MAX_EVIDENCE_BYTES, what=path.name)
            except FileNotFoundError:
                continue  # cleared meanwhile
            except WireError as error:
                yield {"kind": "damaged", "origin": origin, "error": str(error)}

    def evidence_count(self, origin: str) -> int:
        """Return how much is kept against a log."""
        return sum(1 for _ in self._evidence(origin).glob("*.json"))

    def _latest(self, origin: str) -> Path:
        return self.folder / "latest" / origin_hash(origin)

    def _evidence(self, origin: str) -> Path:
        return self.folder / "evidence" / origin_hash(origin)


def _oldest_first(paths: Iterable[Path]) -> list[Path]:
    """Sort files by their time, without those that are cleared meanwhile."""
    found: list[tuple[int, Path]] = []
    for path in paths:
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """Evidence as a file: {"kind", "origin", "seen_at", "first", "second", "proof"}.

    The heads are signed notes, verbatim; the proof is a list of hashes in base64, mostly empty.
    """

    name: str
    fields: dict[str, Any]

    @classmethod
    def of(cls, evidence: Evidence, now_us: int) -> "StoredEvidence":
        """Name it by what it accuses of, so that the same is kept once."""
        digest = hashlib.sha256(evidence.second.note.text.encode()).hexdigest()[:32]
        fields = {
            "kind": evidence.kind,
            "origin": evidence.first.checkpoint.origin,
            "seen_at": format_time(now_us),
            "first": str(evidence.first.note),
            "second": str(evidence.second.note),
            "proof": [to_base64(one) for one in evidence.proof],
        }
        return cls(f"{evidence.kind}-{digest}.json", fields)

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return (json.dumps(self.fields, indent=2, ensure_ascii=False) + "\n").encode()
