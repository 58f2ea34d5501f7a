"""Which H3 cells hold a box whole, for boxes that take a few. Pure."""

import math
from functools import lru_cache
from typing import Final

import h3

from broker.wire.geo import E7

from .query import PLACED_CELLS

MOST: Final = 20  # cells
_ACROSS = 3.0  # edges of a cell that a box may be tall and wide
_MARGIN = 0.1  # of an edge: cells' edges are not quite straight on a map
_COARSEST = 3
_LAT_MOST = 75.0
_LON_MOST = 180.0
_DEGREE_M = 111_000.0


@lru_cache(256)
def cells_over(box: tuple[int, int, int, int]) -> tuple[int, ...]:
    """Return the cells, of one size, that hold a box (south, west, north, east in ten-millionths of a degree).

    None for a box that is too large, or close to a pole or the date line.
    """
    south, west, north, east = (side / E7 for side in box)
    shrink = math.cos(math.radians(max(abs(south), abs(north))))
    if max(abs(south), abs(north)) > _LAT_MOST or west > east:
        return ()
    for resolution in range(PLACED_CELLS, _COARSEST - 1, -1):
        edge = h3.average_hexagon_edge_length(resolution, "m") / _DEGREE_M
        if max(north - south, (east - west) * shrink) <= _ACROSS * edge:
            break
    else:
        return ()
    dlat, dlon = _MARGIN * edge, _MARGIN * edge / shrink
    if west - dlon < -_LON_MOST or east + dlon > _LON_MOST:
        return ()
    south, west, north, east = south - dlat, west - dlon, north + dlat, east + dlon
    around = h3.LatLngPoly([(south, west), (south, east), (north, east), (north, west)])
    cells = h3.h3shape_to_cells_experimental(around, resolution, "overlap")
    return tuple(sorted(h3.str_to_int(cell) for cell in cells)) if len(cells) <= MOST else ()
