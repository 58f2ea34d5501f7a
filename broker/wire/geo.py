"""Places on the wire: points in ten-millionths of a degree, circles, and the cells that devices subscribe to. Pure."""

import math
from dataclasses import dataclass

import h3

EARTH_RADIUS_M = 6_371_008.8
E7 = 10_000_000
CELL_RESOLUTION = 4  # some 1,700 km2: a subscription tells no more than a region
_RIM_POINTS = 256


@dataclass(frozen=True, slots=True)
class Point:
    """A WGS 84 position; latitude -90 to 90 and longitude -180 to 180 degrees, times ten million."""

    lat_e7: int
    lon_e7: int

    @classmethod
    def from_degrees(cls, lat: float, lon: float) -> "Point":
        """Round degrees to a ten-millionth (a centimetre)."""
        return cls(round(lat * E7), round(lon * E7))

    @property
    def lat(self) -> float:
        """Latitude in degrees."""
        return self.lat_e7 / E7

    @property
    def lon(self) -> float:
        """Longitude in degrees."""
        return self.lon_e7 / E7


def distance_m(one: Point, other: Point) -> float:
    """Return the great-circle distance in metres (haversine)."""
    lat1, lat2 = math.radians(one.lat), math.radians(other.lat)
    dlat, dlon = lat2 - lat1, math.radians(other.lon - one.lon)
    chord = math.sin(dlat / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(dlon / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def circle_area_m2(radius_m: int) -> float:
    """Return the area of a circle that is small against the Earth."""
    return math.pi * radius_m * radius_m


def cell_of(point: Point) -> str:
    """Return the H3 cell (resolution 4) that contains a point."""
    return str(h3.latlng_to_cell(point.lat, point.lon, CELL_RESOLUTION))


def cells_of_circle(centre: Point, radius_m: int) -> list[str]:
    """Return, sorted, every cell that a circle touches.

    The radius is at most a few hundred metres where a cell is some 20 km wide, so what could lie in a neighbour is on
    the rim: many points of it and the centre decide. They are taken a little outside, and so densely that no corner
    of a cell reaches into the circle between two of them.
    """
    cells = {cell_of(centre)}
    reach = radius_m * 1.02 + 1
    dlat = math.degrees(reach / EARTH_RADIUS_M)
    dlon = dlat / max(1e-6, math.cos(math.radians(centre.lat)))
    for step in range(_RIM_POINTS):
        angle = math.tau * step / _RIM_POINTS
        lat = max(-90.0, min(90.0, centre.lat + dlat * math.sin(angle)))
        lon = (centre.lon + dlon * math.cos(angle) + 180) % 360 - 180
        cells.add(cell_of(Point.from_degrees(lat, lon)))
    return sorted(cells)
