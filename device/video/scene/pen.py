"""The pen that actors are drawn with: in units of their own height, from their feet up."""

from collections.abc import Sequence

from device.video.scene.sheet import Colour, Point, Sheet


class Pen:
    """Draws in units of an actor's height, feet at (0, 0), y upwards; `side` mirrors x."""

    def __init__(self, sheet: Sheet, *, x: float, y: float, tall: float, side: int) -> None:
        self._sheet = sheet
        self._x, self._y, self._tall, self._side = x, y, tall, side

    def at(self, point: Point) -> Point:
        """Return a point in pixels."""
        return self._x + self._side * point[0] * self._tall, self._y - point[1] * self._tall

    def limb(self, points: Sequence[Point], *, thick: float, colour: Colour) -> None:
        """Draw a line through points, with round ends."""
        self._sheet.line([self.at(point) for point in points], thick=thick * self._tall, colour=colour)

    def shape(self, points: Sequence[Point], *, colour: Colour) -> None:
        """Fill a polygon."""
        self._sheet.shape([self.at(point) for point in points], colour=colour)

    def oval(
        self,
        centre: Point,
        *,
        wide: float,
        high: float,
        colour: Colour,
        turn: float = 0.0,
        arc: tuple[int, int] = (0, 360),
    ) -> None:
        """Fill an ellipse of these half axes; `turn` lifts its front, in degrees."""
        self._sheet.oval(
            self.at(centre),
            wide=wide * self._tall,
            high=high * self._tall,
            colour=colour,
            turn=-turn * self._side,
            arc=arc,
        )
