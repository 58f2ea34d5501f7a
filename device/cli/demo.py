"""`latchstring demo`: the whole path on this machine, through the real parts, told as it happens.

Every party is a process of its own and speaks to the others as it would anywhere: the neighbourhood, a doorbell, a
camera, the owner's review, the agency. This module only starts them, watches the home broker and the control sockets,
and tells the story; what each party does is done by the same commands that a user has.
"""

import asyncio
import contextlib
import json
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from broker.neighbourhood import FACTS_NAME, Facts, read_facts
from broker.wire.encoding import format_time, parse_json, parse_time
from broker.wire.rules import MINUTE_US
from device.control import ControlClient, ControlError
from device.link.client import Connection
from device.link.errors import BrokerLost
from device.link.settings import BrokerAddress, LinkTiming

from .children import run
from .errors import CommandError
from .stage import (
    CAMERA,
    DOORBELL,
    SCENES,
    Plan,
    admit_agency,
    camera_source,
    fresh_folder,
    start_devices,
    start_neighbourhood,
)
from .story import LAT as ASKED_LAT
from .story import LON as ASKED_LON
from .story import Story, Teller

FILM_S = 40.0  # how long the scenes may take until both devices have something
MATCH_S = 15.0
CASE = "2026-004711"
WORDS = {
    "offered": "verified, matches, waits for the owner",
    "unmatched": "verified; nothing here matches, and nobody is told",
    "approved": "approved by the owner",
    "released": "its bundle is on its way",
    "received": "its bundle has arrived",
    "declined": "declined by the owner; nothing is sent, and nobody is told",
}


@dataclass(slots=True)
class Seen:
    """What was heard at the home broker so far, by event id; `changed` is set at each message."""

    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, device: str, kind: str | None = None) -> list[dict[str, Any]]:
        """Return a device's events, oldest first; of one kind if given."""
        found = [one for one in self.events.values() if one["device"] == device and kind in {None, one["type"]}]
        return sorted(found, key=lambda one: one["start"])


def demo(
    *,
    once: Annotated[bool, Parameter(negative="", help="End by itself after the first story.")] = False,
    out: Annotated[Path | None, Parameter(help="A new or empty folder for everything the run makes.")] = None,
    video: Annotated[Path | None, Parameter(help="A film file for the camera, instead of a drawn scene.")] = None,
    seed: Annotated[int, Parameter(help="Which of the many possible films of each scene.")] = 1,
    mqtt_port: Annotated[int, Parameter(help="Port of the embedded MQTT broker; 0 takes a free one.")] = 0,
    http_port: Annotated[int, Parameter(help="Port of log, feed and inbox; 0 takes a free one.")] = 0,
) -> None:
    """See the whole path run on this machine.

    A visitor rings, somebody crosses the driveway; both devices seal what they film and tell the home's broker. An
    agency asks in public; both devices match at home; the owner shares the doorbell's clip and declines the camera's;
    the agency opens what it was given. The folder keeps it all: keys, clips, log, bundle, story and pictures.
    """
    if video is not None and not video.is_file():
        raise CommandError(f"{video} is no file")
    plan = Plan(fresh_folder(out), None if video is None else video.resolve(), seed, mqtt_port, http_port)
    asyncio.run(_interruptible(plan, once=once))


async def _interruptible(plan: Plan, *, once: bool) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we run in one
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        await _play(plan, once=once)
    except asyncio.CancelledError:
        if not interrupted:
            raise
        raise KeyboardInterrupt from None


async def _play(plan: Plan, *, once: bool) -> None:
    teller = Teller()
    story = Story(plan.out)
    async with contextlib.AsyncExitStack() as stack:
        teller.heading("A neighbourhood on this machine")
        await start_neighbourhood(plan, teller, stack)
        facts = read_facts(plan.out / "neighbourhood" / FACTS_NAME)
        seen = Seen()
        listener = asyncio.create_task(_listen(facts, seen, teller), name="listener")
        stack.callback(listener.cancel)
        await start_devices(plan, teller, stack)
        await admit_agency(plan, teller)
        await _film(plan, seen, listener, teller)
        leaf = await _ask(plan, story, teller)
        await _match(plan, leaf, teller)
        await _decide(plan, leaf, story, teller)
        await _receive(plan, leaf, story, teller)
        await _check(plan, facts, story, teller)
        story.devices(
            [
                {"name": DOORBELL, "kind": "doorbell", "source": SCENES[DOORBELL]},
                {"name": CAMERA, "kind": "camera", "source": camera_source(plan)},
            ]
        )
        story.events([*seen.of(DOORBELL), *seen.of(CAMERA)])
        story.write()
        if once:
            listener.cancel()
        teller.summary(story, await _sealed_bytes(plan))
        if not once:
            teller.go_on(plan.out, facts.url, plan.owner_key, plan.passphrase)
            await _watch(plan, teller)


async def _listen(facts: Facts, seen: Seen, teller: Teller) -> None:
    """Hear what the home's own broker hears, as Home Assistant would."""
    address = BrokerAddress(host=facts.mqtt_host, port=facts.mqtt_port, client_id="latchstring-demo-owner")
    with contextlib.suppress(BrokerLost):
        async with Connection(address, will=None, timing=LinkTiming()) as connection:
            await connection.subscribe("latchstring/+/event", qos=1)
            async for message in connection.messages():
                _heard(message.topic, message.payload, seen, teller)


def _heard(topic: str, payload: bytes, seen: Seen, teller: Teller) -> None:
    device = topic.split("/")[1]
    event = parse_json(payload, max_bytes=65_536, what=topic)
    event["device"] = device
    known = seen.events.get(event["id"])
    seen.events[event["id"]] = event
    if event["phase"] == "start" and known is None:
        words = {"ring": "somebody rings the bell", "motion": "something moves"}
        teller.tell(device, words[event["type"]])
    elif event["phase"] == "end":
        teller.tell(device, f"the {event['type']} is over")
    seen.changed.set()


async def _film(plan: Plan, seen: Seen, listener: asyncio.Task[None], teller: Teller) -> None:
    def done() -> bool:
        rung = bool(seen.of(DOORBELL, "ring"))
        doorbell = any(one["phase"] == "end" for one in seen.of(DOORBELL, "motion"))
        # A film may never come to rest; some seconds of it will do.
        camera = any(one["phase"] == "end" or _old(one, 8) for one in seen.of(CAMERA, "motion"))
        return rung and doorbell and camera

    with teller.working("filming: a visitor comes to the door, somebody crosses the driveway"):
        until = time.monotonic() + FILM_S
        while not done():
            if time.monotonic() > until:
                silent = [name for name in (DOORBELL, CAMERA) if not seen.of(name, "motion")]
                what = (
                    f"nothing moved in front of {', '.join(silent)}" if silent else "the scenes did not come to an end"
                )
                raise CommandError(f"{what} within {FILM_S:.0f} s; see {plan.out / 'logs'}")
            if listener.done():
                raise CommandError(f"the home's broker could not be listened to; see {plan.out / 'logs'}")
            seen.changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await seen.changed.wait()


async def _ask(plan: Plan, story: Story, teller: Teller) -> str:
    now_us = time.time_ns() // 1_000
    posted = await run(
        "agency", "post", "--dir", str(plan.out / "agency"), "--case", CASE, "--incident", "package-theft",
        "--description", "A parcel was taken from a porch. We look for whoever was at the doors or drives nearby.",
        "--lat", str(ASKED_LAT), "--lon", str(ASKED_LON), "--radius-m", "250",
        "--start", format_time(now_us - 30 * MINUTE_US), "--end", format_time(now_us),
        "--purpose", "Find out who took the parcel", "--retention-days", "90", "--json",
        log=plan.log("agency"), parse=True,
    )  # fmt: skip
    leaf = str(posted["leaf"])
    story.request(plan.out / "agency" / "requests" / leaf, posted)
    teller.tell("agency", f"asks in public: case {CASE}, 250 m, the last 30 minutes (entry {posted['index']})")
    return leaf


async def _match(plan: Plan, leaf: str, teller: Teller) -> None:
    async def offered(device: str) -> None:
        client = ControlClient(plan.home(device))
        until = time.monotonic() + MATCH_S
        while True:
            with contextlib.suppress(ControlError):  # not known yet
                summary = await asyncio.to_thread(client.call, "request", leaf=leaf)
                if summary["state"] == "offered":
                    break
                if summary["state"] != "announced":
                    raise CommandError(f"{device} finds the request {summary['state']}: {summary['message']}")
            if time.monotonic() > until:
                raise CommandError(f"{device} did not learn of the request within {MATCH_S:.0f} s")
            await asyncio.sleep(0.2)
        count = len(summary["clips"])
        teller.tell(
            device, f"verifies the request and finds {count} matching clip{'s' * (count > 1)}, at home; tells nobody"
        )

    with teller.working("each device checks the request against the log's pinned key, and matches at home"):
        await asyncio.gather(offered(DOORBELL), offered(CAMERA))


async def _decide(plan: Plan, leaf: str, story: Story, teller: Teller) -> None:
    with teller.working("the owner unlocks, opens the doorbell's clip, seals it to the agency, signs"):
        released = await run(
            "review", "approve", leaf, "--home", str(plan.home(DOORBELL)), "--owner-key", str(plan.owner_key),
            "--passphrase-file", str(plan.passphrase), "--yes", "--json", log=plan.log("owner"), parse=True,
        )  # fmt: skip
    if released["state"] != "received":
        raise CommandError(f"the approved bundle is {released['state']} where it should be received")
    story.released(DOORBELL, released)
    teller.tell(
        "owner", f"approves the doorbell's clip: {released['bundle_bytes']:,} bytes leave, sealed to the agency"
    )
    await run("review", "decline", leaf, "--home", str(plan.home(CAMERA)), log=plan.log("owner"))
    story.decided(CAMERA, "declined", leaf)
    teller.tell("owner", "declines the camera's clip: nothing is sent, and nobody is told")


async def _receive(plan: Plan, leaf: str, story: Story, teller: Teller) -> None:
    folder = str(plan.out / "agency")
    bundles = await run("agency", "fetch", leaf, "--dir", folder, "--json", log=plan.log("agency"), parse=True)
    if [one["sha256"] for one in bundles] != [story.bundle_sha256]:
        raise CommandError(f"the agency was given {len(bundles)} bundles where exactly the approved one was expected")
    bundle = Path(bundles[0]["path"])
    opened = await run(
        "agency", "open", str(bundle), "--dir", folder, "--out", str(plan.out / "opened"), "--json",
        log=plan.log("agency"), parse=True,
    )  # fmt: skip
    await asyncio.to_thread(story.received, bundle, opened)
    teller.tell("agency", f"opens the bundle: {len(opened['files'])} files, every one verified")


async def _check(plan: Plan, facts: Facts, story: Story, teller: Teller) -> None:
    folder = plan.out / "neighbourhood"
    report = await run(
        "log", "verify", f"{facts.url}/log", "--neighbourhood", str(folder / FACTS_NAME), "--json",
        log=plan.log("public"), parse=True,
    )  # fmt: skip
    story.log(folder / "log", facts, report)
    teller.tell(
        "public", f"checks the log: {report['size']} entries, every hash and rule holds; witness and mirror agree"
    )


async def _watch(plan: Plan, teller: Teller) -> None:
    """Tell what becomes of further requests at each device, until interrupted."""
    known: dict[tuple[str, str], str] | None = None
    while True:
        now: dict[tuple[str, str], str] = {}
        for device in (DOORBELL, CAMERA):
            with contextlib.suppress(ControlError):  # it is being stopped, or the user stopped it
                listed = (await asyncio.to_thread(ControlClient(plan.home(device)).exchange, "requests"))[1]
                now.update({(device, one["leaf"]): one["state"] for one in json.loads(listed)})
        for (device, leaf), state in now.items():
            if known is not None and known.get((device, leaf)) != state:
                teller.tell(device, f"request {leaf[:12]}: {WORDS.get(state, state)}")
        known = now
        await asyncio.sleep(0.5)


async def _sealed_bytes(plan: Plan) -> dict[str, int]:
    found = {}
    for device in (DOORBELL, CAMERA):
        status = await asyncio.to_thread(ControlClient(plan.home(device)).call, "status")
        found[device] = int(status["storage"]["bytes"])
    return found


def _old(event: dict[str, Any], seconds: float) -> bool:
    return time.time_ns() // 1_000 - parse_time(event["start"]) > seconds * 1_000_000
