"""The events that the keeper kept, as they are read: by the owner's tools, and beside a request. Changes nothing."""

from collections.abc import Sequence
from typing import Any

from device.vault.state import State, Values

FIELDS = ("event", "kind", "start_us", "end_us", "score", "clip", "label", "labelled_by")


class EventLog:
    """Motion and rings of one device. Blocks on the state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def latest(self, count: int) -> list[dict[str, Any]]:
        """Return the newest events, the newest first."""
        return self._select("ORDER BY start_us DESC LIMIT ?", (count,))

    def between(self, from_us: int, until_us: int, *, most: int) -> list[dict[str, Any]]:
        """Return the newest `most` events that lie in [from, until) with some of their time, in order.

        A moment is an event too, one that begins and ends at once; one under way lasts until further notice.
        """
        where = "start_us < ?2 AND (start_us >= ?1 OR end_us IS NULL OR end_us > ?1)"
        found = self._select(f"WHERE {where} ORDER BY start_us DESC, event DESC LIMIT ?3", (from_us, until_us, most))
        return found[::-1]

    def rings(self, ranges: Sequence[tuple[int, int]]) -> list[int]:
        """Return when somebody rang within ranges [start, end), in order."""
        found: set[int] = set()
        for start_us, end_us in ranges:
            rows = self._state.query(
                "SELECT start_us FROM events WHERE kind = 'ring' AND start_us >= ? AND start_us < ?", (start_us, end_us)
            )
            found.update(at_us for (at_us,) in rows)
        return sorted(found)

    def _select(self, rest: str, values: Values) -> list[dict[str, Any]]:
        rows = self._state.query(f"SELECT {', '.join(FIELDS)} FROM events {rest}", values)  # noqa: S608 - constant parts
        return [dict(zip(FIELDS, row, strict=True)) for row in rows]
