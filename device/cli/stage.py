"""The stage of the demonstration: where everything is, and the parties set up and started as processes of their own."""

import asyncio
import contextlib
import secrets
import socket
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
COSIGNERS = ("witness", "mirror")
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
    """Start the operator, a neighbour's witness and another's mirror; make the owner's key meanwhile."""
    private_folder(plan.out / "household")
    private_folder(plan.out / "logs")
    write_secret(plan.passphrase, secrets.token_urlsafe(18).encode() + b"\n")
    hood = plan.out / "neighbourhood"
    # They are told each other's addresses before anybody listens.
    mqtt, http, *others = free_ports(2 + len(COSIGNERS))
    ports = ("--mqtt-port", str(plan.mqtt_port or mqtt), "--http-port", str(plan.http_port or http))
    operator = ("--dir", str(hood), *ports)
    with teller.working("making the keys of operator, witness, mirror and owner"):
        async with asyncio.TaskGroup() as group:
            group.create_task(run("broker", "init", *operator, log=plan.log("operator")))
            for kind, port in zip(COSIGNERS, others, strict=True):
                who = ("--name", f"{kind}.example.org", "--url", f"http://127.0.0.1:{port}")
                group.create_task(run(kind, "init", "--dir", str(plan.out / kind), *who, log=plan.log(kind)))
            group.create_task(
                run(
                    "owner", "init", "--out", str(plan.out / "household"), "--passphrase-file", str(plan.passphrase),
                    log=plan.log("owner"),
                )
            )  # fmt: skip
        invited = [str(plan.out / kind / "cosigner.json") for kind in COSIGNERS]
        await run("broker", "invite", *invited, "--dir", str(hood), log=plan.log("operator"))
    with teller.working("starting broker, log, feed and inbox; a witness and a mirror of the log"):
        for kind in COSIGNERS:
            folders = ("--dir", str(plan.out / kind), "--neighbourhood", str(hood / FACTS_NAME))
            await stack.enter_async_context(serving(plan.log(kind), kind, "run", *folders))
        await stack.enter_async_context(serving(plan.log("neighbourhood"), "broker", "run", *operator))
    teller.tell("neighbourhood", "runs: MQTT broker, public log, feed and evidence inbox")
    teller.tell("witness", "sees that the log only grows, and signs that")
    teller.tell("mirror", "keeps and serves a copy of the whole log, and signs that")
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


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def fresh_folder(out: Path | None) -> Path:
    """Return a new or empty folder; raises CommandError for one that holds something."""
    if out is None:
        return Path(tempfile.mkdtemp(prefix="latchstring-demo-"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CommandError(f"{out} exists and is not an empty folder; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    return out.resolve()
