"""The stage of the demonstration: where everything is, and the parties set up and started as processes of their own."""

import asyncio
import contextlib
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from broker.neighbourhood import FACTS_NAME
from device.vault.disk import private_folder, write_secret

from .children import run, serving
from .errors import CommandError
from .story import Teller

DOORBELL, CAMERA = "front-door", "driveway"
LAT, LON = 52.5200, 13.4050
SCENES = {DOORBELL: "scene:doorbell-visitor", CAMERA: "scene:driveway-walker"}


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything is and which options were given."""

    out: Path
    video: Path | None
    seed: int
    mqtt_port: int
    http_port: int

    def home(self, device: str) -> Path:
        """Return a device's folder."""
        return self.out / device

    def log(self, name: str) -> Path:
        """Return a party's log file."""
        return self.out / "logs" / f"{name}.log"

    @property
    def owner_key(self) -> Path:
        """The owner's key file."""
        return self.out / "household" / "owner.key.json"

    @property
    def passphrase(self) -> Path:
        """The passphrase of this run's owner, in a file since nobody is asked."""
        return self.out / "household" / "passphrase"


async def start_neighbourhood(plan: Plan, teller: Teller, stack: contextlib.AsyncExitStack) -> None:
    """Start the operator's process, and make the owner's key meanwhile."""
    private_folder(plan.out / "household")
    private_folder(plan.out / "logs")
    write_secret(plan.passphrase, secrets.token_urlsafe(18).encode() + b"\n")
    ports = ("--mqtt-port", str(plan.mqtt_port), "--http-port", str(plan.http_port))
    folder = str(plan.out / "neighbourhood")
    with teller.working("starting broker, log, feed and inbox; making the owner's key"):
        household = asyncio.create_task(
            run(
                "owner", "init", "--out", str(plan.out / "household"), "--passphrase-file", str(plan.passphrase),
                log=plan.log("owner"),
            )
        )  # fmt: skip
        log = plan.log("neighbourhood")
        await stack.enter_async_context(serving(log, "broker", "run", "--dir", folder, *ports))
        await household
    teller.tell("neighbourhood", "runs: MQTT broker, public log, feed and evidence inbox")
    teller.tell("owner", "has a key that opens the footage; the devices get its public half alone")


async def start_devices(plan: Plan, teller: Teller, stack: contextlib.AsyncExitStack) -> None:
    """Set up a doorbell and a camera, and start both."""

    async def start(device: str, kind: str, source: str, metres: int) -> None:
        await run(
            "device", "init", "--home", str(plan.home(device)), "--name", device, "--kind", kind, "--source", source,
            "--owner", str(plan.out / "household" / "owner.pub.json"), "--lat", str(LAT + metres / 111_000),
            "--lon", str(LON), "--neighbourhood", str(plan.out / "neighbourhood" / FACTS_NAME),
            "--seed", str(plan.seed), log=plan.log(f"{device}-init"),
        )  # fmt: skip
        await stack.enter_async_context(serving(plan.log(device), "device", "run", "--home", str(plan.home(device))))

    with teller.working("starting a doorbell and a camera"):
        async with asyncio.TaskGroup() as group:
            group.create_task(start(DOORBELL, "doorbell", SCENES[DOORBELL], 0))
            group.create_task(start(CAMERA, "camera", camera_source(plan), 20))
    teller.tell(DOORBELL, "films")
    teller.tell(CAMERA, "films" + (f" {plan.video.name}" if plan.video else ""))


async def admit_agency(plan: Plan, teller: Teller) -> None:
    """Make an agency, and have the operator admit it."""
    application = await run(
        "agency", "init", "--dir", str(plan.out / "agency"), "--id", "springfield-pd",
        "--name", "Springfield Police Department", "--domain", "police.springfield.example",
        "--contact", "footage@police.springfield.example",
        "--neighbourhood", str(plan.out / "neighbourhood" / FACTS_NAME), log=plan.log("agency"),
    )  # fmt: skip
    file = plan.out / "agency" / "application.json"
    file.write_text(application, encoding="utf-8")
    await run(
        "broker", "admit", str(file), "--dir", str(plan.out / "neighbourhood"),
        "--evidence", "Letter of the city clerk, seen by the operator", log=plan.log("operator"),
    )  # fmt: skip
    teller.tell("operator", "admits Springfield Police Department; the admission is an entry of the public log")


def camera_source(plan: Plan) -> str:
    """Return what the camera films."""
    return SCENES[CAMERA] if plan.video is None else f"file:{plan.video}"


def fresh_folder(out: Path | None) -> Path:
    """Return a new or empty folder; raises CommandError for one that holds something."""
    if out is None:
        return Path(tempfile.mkdtemp(prefix="latchstring-demo-"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CommandError(f"{out} exists and is not an empty folder; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    return out.resolve()
