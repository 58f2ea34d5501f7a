"""How Home Assistant learns of a device: one MQTT device discovery payload with all its entities. Pure.

The form is Home Assistant's device discovery (2024.11 and later): `device`, `origin` and `components` are required,
each component has a `platform` and, to be an entity, a `unique_id`; availability and QoS stand once for all of them.
"""

from typing import Any, Literal

from broker.wire import topics
from broker.wire.encoding import canonical

from . import events

PREFIX = "latchstring"


def discovery_payload(
    *, device: str, name: str, kind: Literal["camera", "doorbell"], version: str, reviews: bool
) -> bytes:
    """Return the payload for `topics.discovery(device)`; `reviews` says whether that topic is published at all."""
    topics.check_name(device)
    components = {"motion": _motion(device), "privacy": _privacy(device), **_sensors(device)}
    if kind == "doorbell":
        components["ring"] = _ring(device)
    if reviews:
        components["reviews"] = _reviews(device)
    for part, component in components.items():
        component["unique_id"] = f"{PREFIX}_{device}_{part}"
    return canonical(
        {
            "device": {
                "identifiers": [f"{PREFIX}_{device}"],
                "name": name,
                "manufacturer": "Latchstring",
                "model": "Doorbell" if kind == "doorbell" else "Camera",
                "sw_version": version,
            },
            "origin": {"name": "Latchstring", "sw_version": version},
            "availability": [
                {
                    "topic": topics.device(device, events.AVAILABILITY),
                    "payload_available": events.ONLINE.decode(),
                    "payload_not_available": events.OFFLINE.decode(),
                }
            ],
            "qos": 1,
            "components": components,
        }
    )


def _ring(device: str) -> dict[str, Any]:
    return {
        "platform": "event",
        "name": "Doorbell",
        "device_class": "doorbell",
        "event_types": ["ring"],
        "state_topic": topics.device(device, events.RING),
    }


def _motion(device: str) -> dict[str, Any]:
    return {
        "platform": "binary_sensor",
        "name": "Motion",
        "device_class": "motion",
        "state_topic": topics.device(device, events.MOTION),
        "payload_on": events.ON.decode(),
        "payload_off": events.OFF.decode(),
    }


def _privacy(device: str) -> dict[str, Any]:
    return {
        "platform": "switch",
        "name": "Privacy",
        "icon": "mdi:eye-off",
        "state_topic": topics.device(device, events.PRIVACY),
        "command_topic": topics.device(device, events.PRIVACY_SET),
        "payload_on": events.ON.decode(),
        "payload_off": events.OFF.decode(),
        "retain": False,  # a kept command would switch the camera again at each reconnect
    }


def _reviews(device: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": "Requests to review",
        "icon": "mdi:file-question",
        "state_topic": topics.device(device, events.REVIEWS),
        "state_class": "measurement",
    }


def _sensors(device: str) -> dict[str, dict[str, Any]]:
    return {
        "problem": {
            "platform": "binary_sensor",
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.device(device, events.HEALTH),
            "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
            "json_attributes_topic": topics.device(device, events.HEALTH),
        },
        "frames_per_second": _health(device, "frames_per_second", "Frames a second", state_class="measurement"),
        "frames_dropped": _health(device, "frames_dropped", "Frames dropped", state_class="total_increasing"),
        "storage_used": _health(
            device,
            "storage_used_bytes",
            "Storage used",
            state_class="measurement",
            device_class="data_size",
            unit_of_measurement="B",
        ),
        "outbox_messages": _health(device, "outbox_messages", "Messages waiting", state_class="measurement"),
        "outbox_dropped": _health(device, "outbox_dropped", "Messages dropped", state_class="total_increasing"),
    }


def _health(device: str, field: str, name: str, **more: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": name,
        "entity_category": "diagnostic",
        "state_topic": topics.device(device, events.HEALTH),
        "value_template": f"{{{{ value_json.{field} }}}}",
        **more,
    }
