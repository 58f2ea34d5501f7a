"""The overview map of a list: where all requests are, cell by cell, and the circles of those that are listed. Pure.

Drawn with straight meridians and parallels, so that an area that is chosen on it is a rectangle. It is unrolled around
its own middle: the date line is nothing special.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import h3
from markupsafe import Markup

from broker.log.history.lists import Mark
from broker.log.history.query import COUNTED_CELLS
from broker.wire.geo import CELL_RESOLUTION, E7
from broker.words import count_text

from .frame import LEFT, TOP, Bar, Frame, Tick, bar_for, path_of, ticks_of
from .geometry import Box, Position, cell_box, cell_outline, metres_per_degree, near, width_of, wrapped
from .query import BoxE7

FRAME: Final = Frame(336, 300)
NOWHERE: Final[Box] = (-60.0, -180.0, 75.0, 180.0)
SHADES: Final = 4
LEAST_DEGREES: Final = 0.004
_MARGIN = 0.12
_ACROSS = 9  # cells, at the most
_CELL_WIDTH_M = {0: 2.2e6, 1: 8.3e5, 2: 3.1e5, 3: 1.2e5, 4: 4.5e4, 5: 1.7e4, 6: 6.4e3, 7: 2.4e3}
_LEAST_RADIUS = 2.5
_HALF_TURN = 180
_OUTLINED = 40


@dataclass(frozen=True, slots=True)
class Shaded:
    """A cell with requests: its outline, a shade from 1 to 4, what to say of it, and the area to choose with it."""

    path: str
    shade: int
    label: str
    area: BoxE7


@dataclass(frozen=True, slots=True)
class Overview:
    """A list's map. `view` is what the frame shows; `chosen` a rectangle (x, y, width, height) if an area is."""

    frame: Frame
    view: Box
    cells: tuple[Shaded, ...]
    outlines: str
    circles: Markup
    chosen: tuple[float, float, float, float] | None
    ticks: tuple[Tick, ...]
    bar: Bar
    wider: BoxE7 | None
    description: str


class _Flat:
    """Degrees to units, the same number of units for a metre up and across in the middle of the frame."""

    def __init__(self, box: Box) -> None:
        south, west, north, _ = box
        self.lat = (south + north) / 2
        self.lon = west + width_of(box) / 2
        self.shrink = max(0.05, math.cos(math.radians(self.lat)))
        tall = max(north - south, LEAST_DEGREES) * (1 + 2 * _MARGIN)
        wide = max(width_of(box) * self.shrink, LEAST_DEGREES) * (1 + 2 * _MARGIN)
        # No more than one turn, so that nothing is seen twice.
        most = FRAME.width / (360 * self.shrink)
        self.units = max(min(FRAME.height / tall, FRAME.width / wide), most)

    @property
    def view(self) -> Box:
        half_lat = FRAME.height / self.units / 2
        half_lon = min(FRAME.width / self.units / self.shrink / 2, float(_HALF_TURN))
        whole = half_lon >= _HALF_TURN
        west = -180.0 if whole else wrapped(self.lon - half_lon)
        east = 180.0 if whole else wrapped(self.lon + half_lon)
        return max(-90.0, self.lat - half_lat), west, min(90.0, self.lat + half_lat), east

    def place(self, lat: float, lon: float) -> tuple[float, float]:
        x = LEFT + FRAME.width / 2 + (near(lon, self.lon) - self.lon) * self.shrink * self.units
        return x, TOP + FRAME.height / 2 - (lat - self.lat) * self.units

    def position(self, x: float, y: float) -> Position:
        lat = self.lat - (y - TOP - FRAME.height / 2) / self.units
        return lat, self.lon + (x - LEFT - FRAME.width / 2) / self.units / self.shrink

    def path(self, outline: Sequence[Position]) -> str | None:
        """Return the path of an outline, None where it is torn by the map's own edge or does not show."""
        lons = [near(lon, self.lon) for _, lon in outline]
        if max(lons) - min(lons) > _HALF_TURN:
            return None
        points = [self.place(*corner) for corner in outline]
        inside = (
            max(x for x, _ in points) > LEFT
            and min(x for x, _ in points) < LEFT + FRAME.width
            and max(y for _, y in points) > TOP
            and min(y for _, y in points) < TOP + FRAME.height
        )
        return path_of(points) if inside else None


def overview(
    counts: Callable[[int], Mapping[str, int]],
    extent: Box | None,
    marks: Sequence[Mark],
    *,
    area: BoxE7 | None = None,
    cell: str | None = None,
) -> Overview:
    """Draw a list's map: of the area or cell that was chosen, or of everywhere that anything was asked."""
    box = _box_of(area, cell, extent)
    flat = _Flat(box)
    width_m = FRAME.width / flat.units * metres_per_degree()
    cells = _cells(flat, counts, width_m)
    return Overview(
        frame=FRAME,
        view=flat.view,
        cells=cells,
        outlines=_outlines(flat, width_m, counts),
        # Numbers, hashes and statuses alone: there is nothing to escape, and a template takes long for hundreds.
        circles=Markup("\n".join(_circle(flat, mark) for mark in marks)),  # noqa: S704 - see above
        chosen=None if area is None else _rectangle(flat, box),
        ticks=ticks_of(FRAME, flat.position),
        bar=bar_for(width_m / FRAME.width, FRAME.width),
        wider=_wider(flat.view, extent) if area is not None or cell is not None else None,
        description=f"Map, north up, {_span(width_m)} across: {count_text(len(marks), 'request')} of this list"
        + (f", and {count_text(len(cells), 'cell')} with requests" if cells else ""),
    )


def _box_of(area: BoxE7 | None, cell: str | None, extent: Box | None) -> Box:
    if area is not None:
        south, west, north, east = area
        return south / E7, west / E7, north / E7, east / E7
    return cell_box(cell) if cell is not None else extent or NOWHERE


def _cells(flat: _Flat, counts: Callable[[int], Mapping[str, int]], width_m: float) -> tuple[Shaded, ...]:
    if width_m < 2 * _CELL_WIDTH_M[COUNTED_CELLS]:
        return ()  # within a cell or two there is nothing left to choose
    resolution = max(one for one, cell_m in _CELL_WIDTH_M.items() if one == 0 or width_m <= cell_m * _ACROSS)
    counted = counts(resolution)
    if not counted:
        return ()
    most = math.log1p(max(counted.values()))
    found = []
    for cell, count in sorted(counted.items()):
        path = flat.path(cell_outline(cell))
        if path is not None:
            shade = max(1, math.ceil(SHADES * math.log1p(count) / most))
            lat, lon = h3.cell_to_latlng(cell)
            label = f"{count_text(count, 'request')} around {lat:.2f}, {lon:.2f}"
            found.append(Shaded(path, shade, label, _outward_e7(cell_box(cell))))
    return tuple(found)


def _outlines(flat: _Flat, width_m: float, counts: Callable[[int], Mapping[str, int]]) -> str:
    """Return the cells that devices subscribe to, as long as they are larger than what is shaded."""
    if width_m > _CELL_WIDTH_M[CELL_RESOLUTION] * _ACROSS:
        return ""
    paths = (flat.path(cell_outline(cell)) for cell in sorted(counts(CELL_RESOLUTION))[:_OUTLINED])
    return "".join(path for path in paths if path is not None)


def _circle(flat: _Flat, mark: Mark) -> str:
    lat, lon = mark.lat_e7 / E7, mark.lon_e7 / E7
    x, y = flat.place(lat, lon)
    ry = mark.radius_m / metres_per_degree() * flat.units
    rx = ry * flat.shrink / max(0.05, math.cos(math.radians(lat)))
    if not (LEFT - rx < x < LEFT + FRAME.width + rx and TOP - ry < y < TOP + FRAME.height + ry):
        return ""
    return (
        f'<a href="/requests/{mark.leaf}" tabindex="-1"><ellipse class="area {mark.status}" cx="{x:.1f}" cy="{y:.1f}"'
        f' rx="{max(_LEAST_RADIUS, rx):.1f}" ry="{max(_LEAST_RADIUS, ry):.1f}"/></a>'
    )


def _rectangle(flat: _Flat, box: Box) -> tuple[float, float, float, float]:
    south, _, north, _ = box
    _, top = flat.place(north, flat.lon)
    _, bottom = flat.place(south, flat.lon)
    half = width_of(box) / 2 * flat.shrink * flat.units
    return round(LEFT + FRAME.width / 2 - half, 1), round(top, 1), round(2 * half, 1), round(bottom - top, 1)


def _wider(view: Box, extent: Box | None) -> BoxE7 | None:
    """Return the view and as much again on each side, None where that is everywhere."""
    south, west, north, east = view
    tall, wide = north - south, width_of(view)
    if 2 * wide >= 360 or extent is None or _holds(view, extent):  # noqa: PLR2004 - degrees
        return None
    wider = (
        max(-90.0, south - tall / 2), wrapped(west - wide / 2), min(90.0, north + tall / 2), wrapped(east + wide / 2),
    )  # fmt: skip
    return _outward_e7(wider)


def _holds(view: Box, inner: Box) -> bool:
    middle = view[1] + width_of(view) / 2
    west, half = near(inner[1], middle), width_of(view) / 2
    return (
        view[0] <= inner[0]
        and inner[2] <= view[2]
        and middle - half <= west
        and west + width_of(inner) <= middle + half
    )


def _outward_e7(box: Box) -> BoxE7:
    """Return a box rounded outwards to some ten metres: short to write, and nothing is lost."""
    step = 1e-4
    south, north = max(-90.0, math.floor(box[0] / step) * step), min(90.0, math.ceil(box[2] / step) * step)
    west, east = max(-180.0, math.floor(box[1] / step) * step), min(180.0, math.ceil(box[3] / step) * step)
    return round(south * E7), round(west * E7), round(north * E7), round(east * E7)


def _span(width_m: float) -> str:
    return f"{width_m / 1_000:,.0f} km" if width_m >= 10_000 else f"{width_m / 1_000:.1f} km"  # noqa: PLR2004 - metres
