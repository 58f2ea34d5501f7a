"""A neighbourhood of real processes: each party is a command of ours, started and ended by the test."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from broker.neighbourhood import FACTS_NAME, Facts, read_facts
from broker.wire.encoding import format_time
from broker.wire.proofs import MIRRORS, parse_policy
from device.cli.stage import free_ports
from device.control import ControlClient, ControlError
from tests.neighbourhood.recorder import Recorder

LAT, LON = 52.52, 13.405
PASSPHRASE = "correct horse battery staple"
SCENE = """
title = "Somebody crosses"
place = "porch"
duration_s = 30.0
noise = 1.0
rings_s = [4.0]

[[actors]]
kind = "person"
coat = "#2f4f86"
trousers = "#33343d"
path = [
    { at_s = 2.0, x = 0.10, y = 0.97, height = 0.60 },
    { at_s = 5.0, x = 0.90, y = 0.97, height = 0.60 },
]
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "device", *arguments]


def wait_for(condition: Callable[[], bool], what: str, *, within_s: float = 20.0) -> None:
    """Poll until a condition of another process holds; fails with `what` it was."""
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"{what} did not happen within {within_s} s"
        time.sleep(0.05)


class Parties:
    """All processes of one test, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.recorders: list[Recorder] = []
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")
        self.passphrase.chmod(0o600)
        self.scene = folder / "scene.toml"
        self.scene.write_text(SCENE)

    @property
    def facts(self) -> Facts:
        return read_facts(self.folder / "hood" / FACTS_NAME)

    def run(self, *arguments: str, ok: bool = True) -> str:
        """Run a command to its end; returns what it printed, or its error line where it has to fail."""
        done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60, check=False)
        if not ok:
            assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
            assert "Traceback" not in done.stderr
            return done.stderr
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def serve(self, name: str, *arguments: str, **environment: str) -> None:
        """Start a command that serves, and wait until it says that it is ready."""
        log = (self.folder / f"{name}.log").open("a")
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **environment}
        )
        log.close()
        self.running[name] = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready"), (self.folder / f"{name}.log").read_text()

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        process = self.running.pop(name)
        process.send_signal(how)
        code = process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
        return code

    def record(self, port: int) -> Recorder:
        """Return a relay to a port, ended with the test."""
        recorder = Recorder(port)
        self.recorders.append(recorder)
        return recorder

    def stop_all(self) -> None:
        for name in list(self.running):
            self.stop(name, signal.SIGKILL)
        for recorder in self.recorders:
            recorder.close()

    def start_hood(
        self,
        *,
        mqtt_port: int = 0,
        http_port: int = 0,
        cosigned: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the operator; `cosigned` with a witness and a mirror, `witness` and `mirror`, whom its devices need."""
        if cosigned:
            mqtt, http, *others = free_ports(4)
            mqtt_port, http_port = mqtt_port or mqtt, http_port or http
            self.start_cosigners(dict(zip(("witness", "mirror"), others, strict=True)), mqtt_port, http_port)
        at = ("--mqtt-port", str(mqtt_port), "--http-port", str(http_port))
        self.serve("hood", "broker", "run", "--dir", str(self.folder / "hood"), *at, **(environment or {}))

    def start_cosigners(self, ports: dict[str, int], mqtt_port: int, http_port: int) -> None:
        hood = self.folder / "hood"
        at = ("--mqtt-port", str(mqtt_port), "--http-port", str(http_port))
        self.run("broker", "init", "--dir", str(hood), *at)
        for kind, port in ports.items():
            who = ("--name", f"{kind}.example.org", "--url", f"http://127.0.0.1:{port}")
            self.run(kind, "init", "--dir", str(self.folder / kind), *who)
        invited = [str(self.folder / kind / "cosigner.json") for kind in ports]
        self.run("broker", "invite", *invited, "--dir", str(hood))
        for kind in ports:
            self.start_cosigner(kind)

    def start_cosigner(self, kind: str) -> None:
        """Start a witness or mirror, or start it again."""
        facts = str(self.folder / "hood" / FACTS_NAME)
        self.serve(kind, kind, "run", "--dir", str(self.folder / kind), "--neighbourhood", facts)

    def start_owner(self) -> None:
        self.run("owner", "init", "--out", str(self.folder), "--passphrase-file", str(self.passphrase))

    def start_agency(self) -> None:
        application = self.run(
            "agency", "init", "--dir", str(self.folder / "agency"), "--id", "springfield-pd",
            "--name", "Springfield PD", "--domain", "pd.example", "--contact", "desk@pd.example",
            "--neighbourhood", str(self.folder / "hood" / FACTS_NAME),
        )  # fmt: skip
        file = self.folder / "application.json"
        file.write_text(application)
        self.run("broker", "admit", str(file), "--dir", str(self.folder / "hood"), "--evidence", "A letter")

    def home(self, name: str) -> Path:
        return self.folder / name

    def make_device(
        self, name: str, *, kind: str = "camera", lat: float = LAT, source: str | None = None, seed: int = 1
    ) -> None:
        more = () if parse_policy(self.facts.policy).needs(MIRRORS) else ("--unwitnessed",)
        self.run(
            "device", "init", "--home", str(self.home(name)), "--owner", str(self.folder / "owner.pub.json"),
            "--name", name, "--kind", kind, "--source", source or f"scene:{self.scene}", "--lat", str(lat),
            "--lon", str(LON), "--neighbourhood", str(self.folder / "hood" / FACTS_NAME), "--seed", str(seed), *more,
        )  # fmt: skip

    def start_device(self, name: str, **environment: str) -> None:
        quick = {
            "LATCHSTRING_NEIGHBOURHOOD__CONSIDER_EVERY_S": "0.3",
            "LATCHSTRING_CAMERA__LOOP": "false",
            "LATCHSTRING_CAMERA__POST_ROLL_S": "2",
            # The model takes its time, on a busy machine more than an event has.
            "LATCHSTRING_CAMERA__LABELS": "shape",
        }
        self.serve(name, "device", "run", "--home", str(self.home(name)), **{**quick, **environment})

    def ask(self, name: str, op: str, **arguments: Any) -> Any:
        return ControlClient(self.home(name)).call(op, **arguments)

    def status(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = self.ask(name, "status")
        return status

    def wait_for_clip(self, name: str) -> None:
        """Wait until a device has filmed an event to its end."""

        def ended() -> bool:
            events = self.status(name)["events"]
            return any(one["kind"] == "motion" and one["end_us"] is not None for one in events)

        wait_for(ended, f"{name}: an event to its end")

    def start_and_ask(self, device: str) -> str:
        """Start everybody with one device, and have it offer a request; returns its leaf hash."""
        self.start_hood()
        self.start_owner()
        self.start_agency()
        self.make_device(device)
        self.start_device(device)
        self.wait_for_clip(device)
        leaf = self.post()
        self.wait_for_state(device, leaf, "offered")
        return leaf

    def post(self, *more: str, case: str = "2026-1") -> str:
        """Post a request for the last half hour around the devices; returns its leaf hash."""
        now_us = time.time_ns() // 1_000
        posted = self.json(
            "agency", "post", "--dir", str(self.folder / "agency"), "--case", case, "--incident", "package-theft",
            "--description", "A parcel was taken.", "--lat", str(LAT), "--lon", str(LON), "--radius-m", "200",
            "--start", format_time(now_us - 30 * 60 * 1_000_000), "--end", format_time(now_us),
            "--purpose", "Find the parcel", "--retention-days", "60", *more,
        )  # fmt: skip
        return str(posted["leaf"])

    def wait_for_state(self, name: str, leaf: str, *states: str, within_s: float = 20.0) -> dict[str, Any]:
        summary: dict[str, Any] = {}

        def there() -> bool:
            nonlocal summary
            try:
                summary = self.ask(name, "request", leaf=leaf)
            except ControlError:
                return False
            return summary["state"] in states

        wait_for(there, f"{name}: request {' or '.join(states)}", within_s=within_s)
        return summary

    def approve(self, name: str, leaf: str, *more: str) -> Any:
        return self.json(
            "review", "approve", leaf, "--home", str(self.home(name)),
            "--owner-key", str(self.folder / "owner.key.json"), "--passphrase-file", str(self.passphrase),
            "--yes", *more,
        )  # fmt: skip

    def fetch(self, leaf: str) -> list[dict[str, Any]]:
        bundles: list[dict[str, Any]] = self.json("agency", "fetch", leaf, "--dir", str(self.folder / "agency"))
        return bundles

    def open(self, bundle: str, out: str = "opened") -> Any:
        folder = str(self.folder / "agency")
        return self.json("agency", "open", bundle, "--dir", folder, "--out", str(self.folder / out))

    def point(self, name: str, *, mqtt_port: int | None = None, http_port: int | None = None) -> None:
        """Lead a device's connections through other ports of this machine."""
        file = self.home(name) / "device.toml"
        text, facts = file.read_text(), self.facts
        if mqtt_port is not None:
            text = text.replace(f"port = {facts.mqtt_port}", f"port = {mqtt_port}")
        if http_port is not None:
            text = text.replace(facts.url, f"http://127.0.0.1:{http_port}")
        file.write_text(text)
