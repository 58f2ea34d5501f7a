"""What the owner's tools can have a device do by itself: ring, and make up an event where all is made up."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from broker.wire.encoding import WireError
from device.cli.newdevice import settings_text
from device.consent.errors import ConsentError
from device.control import ControlClient, ControlError
from device.daemon import Daemon
from device.names import KEY_NAME
from device.settings import FILE_NAME, load_settings
from device.vault.keys import DeviceKey
from tests.home.operating import Switches, ask, operations
from tests.home.support import Kept


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    kept.close()


async def test_a_test_event_is_made_where_a_scene_is_drawn(kept: Kept) -> None:
    """Motion and a ring, each asked of the film once."""
    switches = Switches()
    handlers = operations(kept, switches=switches)
    assert await ask(handlers, "test_event", kind="motion") == ({"device": "front-door", "kind": "motion"}, b"")
    assert (switches.stirred, switches.rung) == (1, 0)
    assert await ask(handlers, "test_event", kind="ring") == ({"device": "front-door", "kind": "ring"}, b"")
    assert (switches.stirred, switches.rung) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "switches", "device", "complaint"),
    [
        ("motion", Switches(simulated=False), "doorbell", "films what is there"),
        ("ring", Switches(simulated=False), "doorbell", "films what is there"),
        ("motion", Switches(private=True), "doorbell", "is private"),
        ("ring", Switches(private=True), "doorbell", "is private"),
        ("ring", Switches(), "camera", "only a doorbell rings"),
    ],
)
async def test_an_event_is_not_made_up_where_it_may_not_be(
    kept: Kept, kind: str, switches: Switches, device: Any, complaint: str
) -> None:
    """Not of what is really filmed, not under privacy, and no ring of a camera: nothing happens, and why is said."""
    with pytest.raises(ConsentError, match=complaint):
        await ask(operations(kept, switches=switches, kind=device), "test_event", kind=kind)
    assert (switches.rung, switches.stirred) == (0, 0)


@pytest.mark.parametrize("arguments", [{}, {"kind": "fire"}, {"kind": 1}, {"kind": ""}, {"kind": "ring", "more": 1}])
async def test_a_test_event_is_asked_for_strictly(kept: Kept, arguments: dict[str, Any]) -> None:
    """One of the two kinds, and nothing else."""
    switches = Switches()
    with pytest.raises(WireError):
        await ask(operations(kept, switches=switches), "test_event", **arguments)
    assert (switches.rung, switches.stirred) == (0, 0)


async def test_the_bell_obeys_privacy_and_kind(kept: Kept) -> None:
    """A doorbell rings; a camera never does, and a private doorbell tells nobody."""
    switches = Switches()
    assert (await ask(operations(kept, switches=switches), "ring"))[0] == {"device": "front-door"}
    await ask(operations(kept, switches=switches), "privacy", on=True)
    for handlers in (operations(kept, switches=switches), operations(kept, switches=switches, kind="camera")):
        with pytest.raises(ConsentError):
            await ask(handlers, "ring")
    assert switches.rung == 1


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_a_made_up_event_goes_the_way_of_a_real_one(kept: Kept, tmp_path: Path) -> None:
    """Over an empty porch: the event is kept and told, and its clip begins before it and has a picture."""
    home = tmp_path / "porch"
    home.mkdir(mode=0o700)
    DeviceKey.create(home / KEY_NAME)
    (home / "owner.pub.json").write_bytes(kept.owner.public.to_json())
    (home / FILE_NAME).write_text(
        settings_text(
            name="porch", kind="camera", lat=1.0, lon=2.0, source="scene:empty-porch", seed=1, mqtt=None, facts=None,
            unwitnessed=False,
        )
    )  # fmt: skip
    ready = asyncio.Event()
    daemon = Daemon(home, load_settings(home))
    with capture_logs():
        running = asyncio.create_task(daemon.run(on_ready=ready.set))
        await asyncio.wait_for(ready.wait(), 20)
        found = await asyncio.to_thread(_make_up_motion, home)
        daemon._stop.set()
        await running
    (event,), (clip,) = found["events"], found["clips"]
    assert (event["kind"], event["clip"], clip["open"]) == ("motion", clip["clip"], False)
    assert clip["start_us"] < event["start_us"] - 1_000_000 < event["end_us"] < clip["end_us"]
    (taken_us,) = clip["thumbnails"]
    assert clip["start_us"] <= taken_us < clip["end_us"]


def _make_up_motion(home: Path) -> Any:
    client = ControlClient(home)
    status = client.call("status")
    assert (status["simulated"], status["events"]) == (True, [])
    told = status["outbox"]["next_seq"]
    time.sleep(4)  # for a pre-roll
    client.call("test_event", kind="motion")
    with pytest.raises(ControlError, match="only a doorbell rings"):
        client.call("test_event", kind="ring")
    until = time.monotonic() + 20
    while True:
        now_us = time.time_ns() // 1_000
        found = client.call("day", from_us=now_us - 60_000_000, until_us=now_us)
        if found["clips"] and not found["clips"][0]["open"]:
            break
        assert time.monotonic() < until
        time.sleep(0.1)
    assert client.call("status")["outbox"]["next_seq"] >= told + 2, "its start and its end are told"
    client.call("privacy", on=True)
    with pytest.raises(ControlError, match="is private"):
        client.call("test_event", kind="motion")
    return found
