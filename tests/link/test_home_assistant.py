"""Discovery in the form that Home Assistant's MQTT device discovery takes."""

import json
import re
from typing import Any, Literal

import pytest

from broker.wire import topics
from broker.wire.encoding import WireError
from device.link import events
from device.link.events import Health
from device.link.home_assistant import discovery_payload

# Home Assistant's topic form: <prefix>/device/<object id>/config
OBJECT_ID = re.compile(r"homeassistant/device/[a-zA-Z0-9_-]+/config")


def discovered(kind: Literal["camera", "doorbell"] = "doorbell", *, reviews: bool = True) -> dict[str, Any]:
    """Return a parsed discovery payload."""
    payload = discovery_payload(device="front-door", name="Front door", kind=kind, version="0.1.0", reviews=reviews)
    found = json.loads(payload)
    assert isinstance(found, dict)
    return found


def test_what_home_assistant_requires_is_there() -> None:
    """`device`, `origin` with a name, and `components`, each with a platform and a unique id of its own."""
    body = discovered()
    assert OBJECT_ID.fullmatch(topics.discovery("front-door"))
    assert body["device"]["identifiers"] == ["latchstring_front-door"]
    assert body["origin"]["name"]
    components = body["components"].values()
    assert {part["platform"] for part in components} == {"binary_sensor", "event", "sensor", "switch"}
    assert len({part["unique_id"] for part in components}) == len(components)
    assert all(part["state_topic"].startswith("latchstring/front-door/") for part in components)
    assert body["availability"][0]["topic"] == "latchstring/front-door/availability"


def test_only_a_doorbell_has_a_bell() -> None:
    """Its event entity knows one type, `ring`, which is what the ring payload says."""
    bell = discovered("doorbell")["components"]["ring"]
    assert (bell["platform"], bell["device_class"], bell["event_types"]) == ("event", "doorbell", ["ring"])
    assert json.loads(events.ring_payload(event="e", at_us=0))["event_type"] in bell["event_types"]
    assert "ring" not in discovered("camera")["components"]


def test_reviews_are_not_mentioned_where_they_are_not_published() -> None:
    """With one broker for home and neighbourhood there is no such sensor."""
    assert "reviews" in discovered(reviews=True)["components"]
    assert "reviews" not in discovered(reviews=False)["components"]


def test_commands_are_not_retained() -> None:
    """Home Assistant must not leave a privacy command at the broker."""
    switch = discovered()["components"]["privacy"]
    assert switch["retain"] is False
    assert switch["command_topic"] == "latchstring/front-door/privacy/set"
    assert (switch["payload_on"], switch["payload_off"]) == ("ON", "OFF")


def test_health_templates_name_fields_of_the_health_payload() -> None:
    """Every diagnostic sensor reads a field that is there."""
    fields = set(Health.__dataclass_fields__)
    templates = [part["value_template"] for part in discovered()["components"].values() if "value_template" in part]
    form = r"\{\{ (?:'ON' if )?value_json\.(\w+)(?: else 'OFF')? \}\}"
    named = [re.fullmatch(form, template) for template in templates]
    assert len(named) == 6
    assert all(match and match[1] in fields for match in named)


def test_no_picture_and_no_stream_is_offered() -> None:
    """Footage never goes over MQTT: there is no camera or image entity (one door)."""
    text = json.dumps(discovered())
    assert not re.search(r"camera\"|image|stream|snapshot|thumbnail", text)


def test_a_name_that_cannot_stand_in_a_topic_is_refused() -> None:
    """Wildcards and reserved names never get into a payload."""
    for name in ("a/b", "+", "#", "requests", ""):
        with pytest.raises(WireError):
            discovery_payload(device=name, name="x", kind="camera", version="1", reviews=False)
