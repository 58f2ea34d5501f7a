"""Counts of what intake refused, kept until they are logged: per agency and rule, so that its public record shows them.

Only what an agency really signed is counted here: nobody can blacken another's record. Steps, each of which may be the
last one before a power cut:

1. `note` writes the count durably, before the refusal is answered.
2. When the time has come `sealed` turns an agency's counts into a record with fixed times, and writes that down.
3. The record is signed and logged. Its signature is deterministic: logged again after a cut, it is the same entry,
   which the log knows.
4. `logged` forgets it. What could not be logged in time goes back to the counts by `unsealed`.
"""

import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from broker.files import PRIVATE_FILE, read_bytes, replace_durably
from broker.log.errors import LogError
from broker.wire.encoding import WireError, parse_json
from broker.wire.records import RefusalCount, Refusals
from broker.wire.rules import HOUR_US

MAX_BYTES: Final = 16 << 20
MOST_SEEN: Final = 512  # envelopes of an agency that are remembered, the newest


@dataclass(slots=True)
class _Counts:
    """What was refused of one agency's since a time."""

    since_us: int
    counts: dict[str, int] = field(default_factory=dict)


class RefusalJournal:
    """The counts in one file. Blocking, one thread at a time. Raises OSError, and LogError for a damaged file."""

    def __init__(self, path: Path, *, every_us: int = HOUR_US) -> None:
        """`every_us` is how long counts gather before they are logged."""
        self._path = path
        self._every_us = every_us
        self._open: dict[str, _Counts] = {}
        self._sealed: dict[str, Refusals] = {}
        self._seen: dict[str, deque[str]] = {}
        if path.exists():
            self._load()

    def note(self, agency: str, code: str, *, leaf: str, now_us: int) -> None:
        """Count one refusal durably; the same envelope, whoever sends it again, counts once."""
        seen = self._seen.setdefault(agency, deque(maxlen=MOST_SEEN))
        if leaf in seen:
            return
        seen.append(leaf)
        counts = self._open.setdefault(agency, _Counts(now_us))
        counts.counts[code] = counts.counts.get(code, 0) + 1
        self._store()

    def pending(self, agency: str) -> int:
        """Return how many refusals of an agency are not logged yet."""
        waiting = sum(self._open[agency].counts.values()) if agency in self._open else 0
        sealed = self._sealed.get(agency)
        return waiting + (sum(one.count for one in sealed.counts) if sealed is not None else 0)

    def sealed(self, *, now_us: int) -> tuple[Refusals, ...]:
        """Return the records that are to be logged now."""
        due = [
            agency
            for agency, counts in self._open.items()
            if agency not in self._sealed and not 0 <= now_us - counts.since_us < self._every_us
        ]
        for agency in due:
            counts = self._open.pop(agency)
            self._sealed[agency] = Refusals(
                agency=agency,
                since=min(counts.since_us, now_us - 1),
                until=now_us,
                counts=tuple(RefusalCount(code=code, count=count) for code, count in sorted(counts.counts.items())),
            )
        if due:
            self._store()
        return tuple(self._sealed.values())

    def logged(self, record: Refusals) -> None:
        """Forget what the log has now."""
        if self._sealed.get(record.agency) == record:
            del self._sealed[record.agency]
            self._store()

    def unsealed(self, record: Refusals, *, since_us: int) -> None:
        """Count again what the log did not take; from `since_us`, where earlier times are logged already."""
        if self._sealed.get(record.agency) != record:
            return
        del self._sealed[record.agency]
        newer = self._open.get(record.agency)
        counts = _Counts(max(record.since, since_us), {one.code: one.count for one in record.counts})
        for code, count in (newer.counts if newer is not None else {}).items():
            counts.counts[code] = counts.counts.get(code, 0) + count
        self._open[record.agency] = counts
        self._store()

    def _store(self) -> None:
        body = {
            "open": {agency: {"since_us": one.since_us, "counts": one.counts} for agency, one in self._open.items()},
            "seen": {agency: list(leaves) for agency, leaves in self._seen.items()},
            "sealed": [record.model_dump(mode="json") for record in self._sealed.values()],
        }
        replace_durably(self._path, json.dumps(body, indent=1).encode(), mode=PRIVATE_FILE)

    def _load(self) -> None:
        data = read_bytes(self._path, max_bytes=MAX_BYTES, error=LogError)
        try:
            body = parse_json(data, max_bytes=MAX_BYTES, what="it")
            self._open = {agency: _counts(one) for agency, one in body["open"].items()}
            self._seen = {agency: deque(map(str, leaves), MOST_SEEN) for agency, leaves in body["seen"].items()}
            records = [Refusals.model_validate_json(json.dumps(one)) for one in body["sealed"]]
        except (WireError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LogError(
                f"{self._path} does not hold counts of refusals ({error}); move it away to begin with none"
            ) from error
        self._sealed = {record.agency: record for record in records}


def _counts(value: Any) -> _Counts:
    counts = value["counts"]
    if type(value["since_us"]) is not int or not all(type(one) is int and one > 0 for one in counts.values()):
        raise ValueError("a count is no number")
    return _Counts(value["since_us"], dict(counts))
