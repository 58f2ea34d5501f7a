"""Circles, boxes and cells on a round Earth, with the date line and the poles in mind. Pure.

Positions here are (latitude, longitude) in degrees. A box is (south, west, north, east); where its west is greater than
its east it crosses the date line.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import h3

from broker.wire.geo import E7, EARTH_RADIUS_M, Point
from broker.wire.records import Area

Position = tuple[float, float]
Box = tuple[float, float, float, float]
WORLD: Box = (-90.0, -180.0, 90.0, 180.0)
_RIM = 64
_PRECISION = 7
_POLE = 90.0
_BEARINGS = tuple((math.sin(-math.tau * step / _RIM), math.cos(-math.tau * step / _RIM)) for step in range(_RIM))


def wrapped(lon: float) -> float:
    """Return a longitude within -180 (included) and 180."""
    return (lon + 180) % 360 - 180


def near(lon: float, around: float) -> float:
    """Return a longitude plus or minus whole turns, within half a turn of another."""
    return around + wrapped(lon - around)


def metres_per_degree() -> float:
    """Return the length of a degree of latitude."""
    return math.radians(1) * EARTH_RADIUS_M


def towards(start: Position, bearing: float, distance_m: float) -> Position:
    """Return where one comes to from `start`, on a great circle; the bearing is in radians, clockwise from north."""
    lat, lon, arc = math.radians(start[0]), math.radians(start[1]), distance_m / EARTH_RADIUS_M
    sine = math.sin(lat) * math.cos(arc) + math.cos(lat) * math.sin(arc) * math.cos(bearing)
    turn = math.atan2(
        math.sin(bearing) * math.sin(arc) * math.cos(lat), math.cos(arc) - math.sin(lat) * max(-1.0, min(1.0, sine))
    )
    return math.degrees(math.asin(max(-1.0, min(1.0, sine)))), wrapped(math.degrees(lon + turn))


def box_around(centre: Point, half_m: float) -> Box:
    """Return a box that holds all that is within `half_m` of a point."""
    return widened((centre.lat, centre.lon, centre.lat, centre.lon), half_m)


def widened(box: Box, by_m: float) -> Box:
    """Return a box that holds all that is within `by_m` of another."""
    dlat = by_m / metres_per_degree()
    south, north = box[0] - dlat, box[2] + dlat
    if south <= -_POLE or north >= _POLE:  # a pole is inside: every longitude is near
        return max(-_POLE, south), -180.0, min(_POLE, north), 180.0
    dlon = dlat / math.cos(math.radians(max(abs(south), abs(north))))
    if width_of(box) + 2 * dlon >= 360:  # noqa: PLR2004 - a whole turn
        return south, -180.0, north, 180.0
    return south, wrapped(box[1] - dlon), north, wrapped(box[3] + dlon)


def box_e7(box: Box) -> tuple[int, int, int, int]:
    """Return a box in ten-millionths of a degree."""
    south, west, north, east = (round(side * E7) for side in box)
    return south, west, north, east


def width_of(box: Box) -> float:
    """Return how many degrees of longitude a box spans."""
    return box[3] - box[1] if box[1] <= box[3] else box[3] - box[1] + 360


def enclosing(positions: Iterable[Position]) -> Box | None:
    """Return the smallest box around positions; it leaves out the widest gap between their longitudes."""
    some = list(positions)
    if not some:
        return None
    lons = sorted({wrapped(lon) for _, lon in some})
    gaps = [(after - before, before, after) for before, after in itertools.pairwise(lons)]
    _, east, west = max([*gaps, (lons[0] + 360 - lons[-1], lons[-1], lons[0])])
    return min(lat for lat, _ in some), west, max(lat for lat, _ in some), east


@lru_cache(4_096)
def cell_outline(cell: str) -> tuple[Position, ...]:
    """Return the corners of an H3 cell, counterclockwise."""
    return tuple((lat, lon) for lat, lon in h3.cell_to_boundary(cell))


def cell_box(cell: str) -> Box:
    """Return a box that holds an H3 cell whole, its edges' bulge included."""
    outline = cell_outline(cell)
    found = enclosing(outline)
    if found is None:
        return WORLD
    south, west, north, east = found
    tall = north - south
    size = 3 * h3.average_hexagon_edge_length(h3.get_resolution(cell), "m") / metres_per_degree()
    if north + size >= _POLE or south - size <= -_POLE:
        # The pole may lie inside, or an edge pass beside it; what matters is that nothing is left out.
        return (south - tall, -180.0, _POLE, 180.0) if north > -south else (-_POLE, -180.0, north + tall, 180.0)
    bulge = 0.1 * tall + 1e-6
    wide = 0.1 * width_of(found) + 1e-6
    return max(-_POLE, south - bulge), wrapped(west - wide), min(_POLE, north + bulge), wrapped(east + wide)


def circle_geometry(area: Area) -> dict[str, Any]:
    """Return a circle as GeoJSON: a polygon of 64 corners, cut in two at the date line, closed over a pole."""
    centre = (area.centre.lat, area.centre.lon)
    rim = _rim(centre, area.radius_m)
    reach = area.radius_m / metres_per_degree()
    if abs(centre[0]) + reach >= _POLE:
        return _polygon(_cap(rim, math.copysign(_POLE, centre[0])))
    open_rim = [(lat, near(lon, centre[1])) for lat, lon in rim]
    if all(-180 <= lon <= 180 for _, lon in open_rim):  # noqa: PLR2004 - degrees
        return _polygon(open_rim)
    middle = math.copysign(180.0, centre[1])
    inside = [(lat, near(lon, math.copysign(90.0, centre[1]))) for lat, lon in _cut(open_rim, middle, keep=-1)]
    beyond = [(lat, near(lon, math.copysign(90.0, -centre[1]))) for lat, lon in _cut(open_rim, middle, keep=1)]
    return {"type": "MultiPolygon", "coordinates": [[_ring(inside)], [_ring(beyond)]]}


def _rim(centre: Position, radius_m: int) -> list[Position]:
    """Return the corners that stand for a circle, counterclockwise: as `towards` would, at less cost."""
    lat, arc = math.radians(centre[0]), radius_m / EARTH_RADIUS_M
    level, tilt = math.sin(lat) * math.cos(arc), math.cos(lat) * math.sin(arc)
    found = []
    for sine, cosine in _BEARINGS:
        height = max(-1.0, min(1.0, level + tilt * cosine))
        turn = math.atan2(sine * tilt, math.cos(arc) - math.sin(lat) * height)
        found.append((math.degrees(math.asin(height)), wrapped(centre[1] + math.degrees(turn))))
    return found


def _cap(rim: Sequence[Position], pole: float) -> list[Position]:
    """Return the ring around a pole: along the rim from west to east, and back along the pole's own edge."""
    along = sorted(rim, key=lambda one: one[1])
    seam = (along[0][0] + along[-1][0]) / 2
    around = [(seam, -180.0), *along, (seam, 180.0), (pole, 180.0), (pole, -180.0)]
    return around if pole > 0 else around[::-1]


def _cut(ring: Sequence[Position], lon: float, *, keep: int) -> list[Position]:
    """Return the part of a ring on one side of a meridian: `keep` -1 is nearer to longitude 0, 1 the other side."""
    sign = keep * math.copysign(1.0, lon)
    kept: list[Position] = []
    for (lat1, lon1), (lat2, lon2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        one, other = sign * (lon1 - lon), sign * (lon2 - lon)
        if one >= 0:
            kept.append((lat1, lon1))
        if one * other < 0:
            kept.append((lat1 + (lat2 - lat1) * one / (one - other), lon))
    return kept


def _polygon(ring: Sequence[Position]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [_ring(ring)]}


def _ring(ring: Sequence[Position]) -> list[list[float]]:
    closed = [*ring, ring[0]]
    return [[round(lon, _PRECISION), round(lat, _PRECISION)] for lat, lon in closed]
