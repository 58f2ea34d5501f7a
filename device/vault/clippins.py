"""What pins protect, and which clip goes first where room is needed. The tables are `clipindex`'s."""

from collections.abc import Collection, Iterable, Mapping

from .seals import Reader
from .state import Row, Transaction


def add_pin(tx: Transaction, clip: str, reason: str, at_us: int) -> None:
    """Pin a clip; doing so again for the same reason does not make the pin newer."""
    tx.execute("INSERT INTO pins VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (clip, reason, at_us))


def drop_pins(tx: Transaction, reason: str) -> None:
    """Take back every pin of a reason."""
    tx.execute("DELETE FROM pins WHERE reason = ?", (reason,))


def protected(reader: Reader, max_bytes: int, grown: Mapping[str, int]) -> dict[str, int]:
    """Return the clips that pins protect, with their bytes: the newest pins, as far as they fit into `max_bytes`.

    `grown` has the bytes of clips whose files are ahead of the index.
    """
    rows = reader.query(
        "SELECT clip, bytes FROM pins JOIN clips USING (clip) GROUP BY clip "
        "ORDER BY max(at_us) DESC, start_us DESC, clip"
    )
    found: dict[str, int] = {}
    for clip, indexed in rows:
        size = max(indexed, grown.get(clip, 0))
        max_bytes -= size
        if max_bytes < 0:
            break
        found[clip] = size
    return found


def oldest_ended(reader: Reader, spared: Collection[str]) -> str | None:
    """Return the oldest clip that is not being written and not spared."""
    rows = reader.query(
        "SELECT clip FROM clips WHERE end_us IS NOT NULL ORDER BY start_us, clip LIMIT ?", (len(spared) + 1,)
    )
    return _first_not(rows, spared)


def oldest_before(reader: Reader, before_us: int, spared: Collection[str]) -> str | None:
    """Return the oldest clip that is not spared, and ended before `before_us`."""
    # That it began before then follows, and has an index.
    rows = reader.query(
        "SELECT clip FROM clips WHERE start_us < ?1 AND end_us < ?1 ORDER BY start_us, clip LIMIT ?2",
        (before_us, len(spared) + 1),
    )
    return _first_not(rows, spared)


def _first_not(rows: Iterable[Row], spared: Collection[str]) -> str | None:
    return next((clip for (clip,) in rows if clip not in spared), None)
