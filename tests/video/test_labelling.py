"""An event gets its label once, from the model or from the rule, and nothing waits for it."""

import numpy as np
import pytest

from device.video.film import Film
from device.video.film_settings import FilmSettings
from device.video.labels.best import Label
from device.video.labels.labelling import Labelling, Labels
from device.video.motion.detector import MotionBox, MotionReading
from device.video.outputs import EventPhase, Output
from device.video.source.capture import CaptureSettings, parse_source
from tests.video.support import START_US, Ids

S = 1_000_000
PICTURE = np.full((180, 320), 90, np.uint8)


def reading(second: float, *, active: bool = True) -> MotionReading:
    left = 0.1 + second * 0.05
    boxes = (MotionBox(left=left, top=0.3, width=0.08, height=0.45),) if active else ()
    return MotionReading(at_us=START_US + round(second * S), active=active, score=50, boxes=boxes)


def told(labelling: Labelling, readings: list[MotionReading], *, event: str | None = "e1") -> list[tuple[str, Label]]:
    """What becomes known while readings come."""
    found = []
    for one in readings:
        found += list(labelling.answers(one.at_us))
        labelling.consider(event, one, PICTURE)
    return found


def test_the_shape_rule_speaks_once_when_an_event_falls_quiet() -> None:
    """Without a model there is one label, in the second half of the quiet before the event's end."""
    labelling = Labelling("shape", post_roll_s=4)
    walk = [reading(n / 15) for n in range(60)]
    assert told(labelling, walk) == []
    quiet = [reading(4 + n / 15, active=False) for n in range(60)]
    ((event, label),) = told(labelling, quiet)
    assert (event, label.by) == ("e1", "shape")


def test_nothing_is_said_where_labels_are_off() -> None:
    """Off means off."""
    labelling = Labelling("off", post_roll_s=1)
    readings = [reading(n / 15, active=n < 60) for n in range(120)]
    assert told(labelling, readings) == []


def test_privacy_forgets_the_pictures() -> None:
    """What was collected is let go of, and nothing is said of it."""
    labelling = Labelling("shape", post_roll_s=1)
    told(labelling, [reading(n / 15) for n in range(30)])
    labelling.forget()
    assert list(labelling.answers(START_US + 60 * S)) == []


# The model's process has nine seconds from the best pictures to the middle of the quiet, however busy the machine is.
@pytest.mark.parametrize(("labels", "speed"), [("model", 0.6), ("shape", 2)])
@pytest.mark.slow
def test_a_visitor_is_labelled_by_the_end_of_the_event(labels: Labels, speed: float) -> None:
    """Filmed at its own pace, an event's last phase says who it was, and who says so; before, nobody had looked."""
    out: list[Output] = []
    settings = FilmSettings(labels=labels, capture=CaptureSettings(seed=1), speed=speed)
    film = Film(parse_source("scene:driveway-walker"), settings=settings, new_id=Ids(), sink=out.append)
    film.start()
    assert film.join(30)
    film.stop()
    phases = [one for one in out if isinstance(one, EventPhase)]
    assert phases[0].label is None
    assert phases[-1].phase == "end"
    assert phases[-1].labelled_by == labels
    assert phases[-1].label in {"person", "unknown"}
    if labels == "model":
        assert phases[-1].label == "person"
