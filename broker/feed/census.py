"""How many requests there are in each H3 cell, for the overview map. Grows with the ground, not with the log."""

from collections import Counter
from typing import Final

import h3

from broker.log.history.query import COUNTED_CELLS

from .geometry import Box, enclosing, widened
from .source import Source

FRESH_US: Final = 10_000_000
_CELL_REACH_M: Final = 1_600  # from a counted cell's centre to its furthest corner, the largest cells' too


class Census:
    """Counts by cell, as of the last seconds: no page waits for them longer than for what it shows itself."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._size = -1
        self._read_us = 0
        self._counts: dict[int, dict[str, int]] = {}
        self._extent: Box | None = None

    def counts(self, resolution: int) -> dict[str, int]:
        """Return the number of requests by cell of a resolution from 0 to `COUNTED_CELLS`."""
        self._refresh()
        if resolution not in self._counts:
            coarser: Counter[str] = Counter()
            for cell, count in self._counts[COUNTED_CELLS].items():
                coarser[h3.cell_to_parent(cell, resolution)] += count
            self._counts[resolution] = dict(coarser)
        return self._counts[resolution]

    def extent(self) -> Box | None:
        """Return a box that holds every cell whole, and so each request's centre; None while there is nothing."""
        self._refresh()
        if self._extent is None:
            around = enclosing(h3.cell_to_latlng(cell) for cell in self._counts[COUNTED_CELLS])
            self._extent = None if around is None else widened(around, _CELL_REACH_M)
        return self._extent

    def _refresh(self) -> None:
        now_us, size = self._source.now_us(), self._source.size
        if size == self._size or (self._counts.get(COUNTED_CELLS) and abs(now_us - self._read_us) < FRESH_US):
            return
        cells = self._source.cells()
        if cells.keys() != self._counts.get(COUNTED_CELLS, {}).keys():
            self._extent = None
        self._size, self._read_us, self._counts = size, now_us, {COUNTED_CELLS: cells}
