"""How late an event is told: from the frame in which motion is certain to the message at a listener, many times over.

Several real daemons, each on its own 1280x720 H.264 film in real time, in which somebody crosses every seven seconds.
"""

import time
from pathlib import Path

from broker.wire.encoding import parse_json, parse_time
from device.video.scene.file import parse_scene
from tests.benchmarks.video_films import CROSSED, FPS, scene_film
from tests.neighbourhood.support import Parties
from tests.support_mqtt import Listener

DEVICES = 6
FRAME_S = 1 / FPS


def start_to_message_s(folder: Path, *, events: int) -> list[float]:
    """Seconds from frame to message, of so many events or more."""
    film = scene_film(folder / "film.mp4", parse_scene(CROSSED, name="latency"), frames=7 * FPS)
    parties = Parties(folder)
    late: list[float] = []
    try:
        parties.start_hood()
        parties.start_owner()
        with Listener(parties.facts.mqtt_port, "latchstring/+/event") as heard:
            for number in range(DEVICES):
                name = f"porch-{number}"
                parties.make_device(name, source=f"file:{film}")
                parties.start_device(
                    name, LATCHSTRING_CAMERA__LOOP="true", LATCHSTRING_CAMERA__POST_ROLL_S="1",
                    LATCHSTRING_CAMERA__PRE_ROLL_S="1",
                )  # fmt: skip
            while len(late) < events:
                time.sleep(1.0)
                late = [since for one in heard.messages if (since := _late_s(*one)) is not None]
        return late
    finally:
        parties.stop_all()


def _late_s(at_us: int, payload: bytes) -> float | None:
    event = parse_json(payload, max_bytes=10_000)
    if (event["type"], event["phase"]) != ("motion", "start"):
        return None
    return (at_us - parse_time(event["start"])) / 1e6
