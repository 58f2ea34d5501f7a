"""The map of one request: its circle to scale, cells, and what else was asked nearby. Pure.

Drawn as seen from above the circle's centre (azimuthal equidistant): distances and bearings from there are true
everywhere on Earth, so that neither the date line nor a pole is a special place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import h3

from broker.log.history.lists import Mark
from broker.wire.geo import CELL_RESOLUTION, E7, EARTH_RADIUS_M, Point, cell_of
from broker.wire.records import Area
from broker.words import incident_text, place_text

from .frame import LEFT, TOP, Bar, Frame, Tick, bar_for, path_of, ticks_of
from .geometry import Position, cell_outline

FRAME: Final = Frame(336, 336)
SHOWN_RADII: Final = 1.7  # from the centre to the frame
_GRID_CELLS = 6  # across the frame, about
_CELL_EDGE_M = {7: 1_406, 8: 531, 9: 201, 10: 76, 11: 29, 12: 11, 13: 4, 14: 1.5, 15: 0.6}


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle in the drawing's units."""

    x: float
    y: float
    r: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another request nearby."""

    leaf: str
    title: str
    distance_m: int
    status: str


@dataclass(frozen=True, slots=True)
class RequestMap:
    """A request's map: paths and circles of a drawing, and what to say of it."""

    frame: Frame
    area: Circle
    grid: str
    outline: str
    others: tuple[Circle, ...]
    ticks: tuple[Tick, ...]
    bar: Bar
    cell: str
    description: str
    neighbours: tuple[Neighbour, ...]


class _Above:
    """The Earth from above a point, `scale` units a metre, that point in the middle of the frame."""

    def __init__(self, centre: Point, scale: float) -> None:
        self._lat, self._lon = math.radians(centre.lat), math.radians(centre.lon)
        self._scale = scale
        self._x, self._y = LEFT + FRAME.width / 2, TOP + FRAME.height / 2

    def metres(self, lat: float, lon: float) -> tuple[float, float]:
        """Return how far east and north a place is, along the great circle to it."""
        phi, turn = math.radians(lat), math.radians(lon) - self._lon
        cosine = math.sin(self._lat) * math.sin(phi) + math.cos(self._lat) * math.cos(phi) * math.cos(turn)
        east = math.cos(phi) * math.sin(turn)
        north = math.cos(self._lat) * math.sin(phi) - math.sin(self._lat) * math.cos(phi) * math.cos(turn)
        sine = math.hypot(east, north)
        stretch = EARTH_RADIUS_M * (math.atan2(sine, cosine) / sine if sine > 1e-15 else 1.0)  # noqa: PLR2004 - the centre itself
        return east * stretch, north * stretch

    def place(self, lat: float, lon: float) -> tuple[float, float]:
        east, north = self.metres(lat, lon)
        return self._x + east * self._scale, self._y - north * self._scale

    def position(self, x: float, y: float) -> Position:
        east, north = (x - self._x) / self._scale, (self._y - y) / self._scale
        way = math.hypot(east, north)
        if way == 0:
            return math.degrees(self._lat), math.degrees(self._lon)
        arc = way / EARTH_RADIUS_M
        sine = math.cos(arc) * math.sin(self._lat) + north / way * math.sin(arc) * math.cos(self._lat)
        turn = math.atan2(
            east * math.sin(arc),
            way * math.cos(self._lat) * math.cos(arc) - north * math.sin(self._lat) * math.sin(arc),
        )
        return math.degrees(math.asin(max(-1.0, min(1.0, sine)))), math.degrees(self._lon + turn)


def half_width_m(area: Area) -> float:
    """Return how far from the centre the frame is."""
    return SHOWN_RADII * area.radius_m


def request_map(leaf: str, area: Area, nearby: Sequence[Mark]) -> RequestMap:
    """Draw the map of a request; `nearby` may hold it as well."""
    centre = area.centre
    above = _Above(centre, FRAME.width / 2 / half_width_m(area))
    others = [mark for mark in nearby if mark.leaf != leaf]
    x, y = above.place(centre.lat, centre.lon)
    scale = FRAME.width / 2 / half_width_m(area)
    return RequestMap(
        frame=FRAME,
        area=Circle(round(x, 1), round(y, 1), round(area.radius_m * scale, 1)),
        grid=_grid(above, centre, area.radius_m),
        outline=_outline(above, centre),
        others=tuple(_circle(above, mark, scale) for mark in others),
        ticks=ticks_of(FRAME, above.position),
        bar=bar_for(1 / scale, FRAME.width),
        cell=cell_of(centre),
        description=f"Map, north up: a circle of {area.radius_m} metres around {place_text(centre)}",
        neighbours=_nearest(above, others),
    )


def _circle(above: _Above, mark: Mark, scale: float) -> Circle:
    x, y = above.place(mark.lat_e7 / E7, mark.lon_e7 / E7)
    return Circle(round(x, 1), round(y, 1), round(mark.radius_m * scale, 1))


def _nearest(above: _Above, others: Sequence[Mark]) -> tuple[Neighbour, ...]:
    far = sorted((math.hypot(*above.metres(mark.lat_e7 / E7, mark.lon_e7 / E7)), mark.leaf, mark) for mark in others)
    return tuple(
        Neighbour(mark.leaf, incident_text(mark.incident), round(distance, -1), mark.status)
        for distance, _, mark in ((round(distance), leaf, mark) for distance, leaf, mark in far[:5])
    )


def _grid(above: _Above, centre: Point, radius_m: int) -> str:
    """Return the outlines of small cells, over the whole frame."""
    wanted = 2 * SHOWN_RADII * radius_m / _GRID_CELLS / 1.8
    resolution = min(_CELL_EDGE_M, key=lambda one: abs(math.log(_CELL_EDGE_M[one] / wanted)))
    middle = h3.latlng_to_cell(centre.lat, centre.lon, resolution)
    reach = math.ceil(SHOWN_RADII * radius_m * math.sqrt(2) / (1.4 * _CELL_EDGE_M[resolution])) + 1
    return "".join(path_of([above.place(*corner) for corner in cell_outline(cell)]) for cell in _disk(middle, reach))


@lru_cache(256)
def _disk(cell: str, reach: int) -> tuple[str, ...]:
    return tuple(h3.grid_disk(cell, reach))


def _outline(above: _Above, centre: Point) -> str:
    """Return the outlines of the large cells that devices subscribe to, as far as they come near the frame."""
    cell = h3.latlng_to_cell(centre.lat, centre.lon, CELL_RESOLUTION)
    return "".join(path_of([above.place(*corner) for corner in cell_outline(one)]) for one in _disk(cell, 1))
