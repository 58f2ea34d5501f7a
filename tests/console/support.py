"""A household for the console's tests: real processes, footage of this morning, and somebody who asks.

Operator, two agencies, a doorbell and a camera are commands of ours. Each test that decides asks for a request of its
own. All that a device sends to the inbox goes through a relay, so that a test can count and cut it.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from broker.agency import AgencyFolder, LogClient, new_http, post
from broker.neighbourhood import FACTS_NAME
from broker.wire.geo import Point
from broker.wire.records import EXCLUDED_PURPOSES, Area, Request
from device.control import ControlClient
from tests.console.footage import CONTINUOUS, Take, film_into
from tests.console.pictures import PHOTOGRAPH, face_film
from tests.console.relay import Relay
from tests.neighbourhood.support import LAT, LON, PASSPHRASE, Parties

PORCH, DRIVE = "porch", "drive"
PD, EVIL = "springfield-pd", "mark-up"
MINUTE_US = 60 * 1_000_000
FACES_S = 8
# What an agency would call itself if the page's readers could be attacked by it.
MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>{{7*7}}"
QUICK = {
    "LATCHSTRING_NEIGHBOURHOOD__CONSIDER_EVERY_S": "0.3",
    "LATCHSTRING_NEIGHBOURHOOD__LOG_EVERY_S": "0.5",
    "LATCHSTRING_CAMERA__POST_ROLL_S": "2",
    "LATCHSTRING_CAMERA__LABELS": "shape",
}
_SIZE = "picture = { width = 480, height = 270, fps = 10 }"
VISITOR = f"""
title = "Somebody rings and goes"
place = "porch"
duration_s = 12.0
noise = 1.0
rings_s = [5.0]
{_SIZE}

[[actors]]
kind = "person"
path = [
    {{ at_s = 3.0, x = 0.10, y = 0.97, height = 0.60 }},
    {{ at_s = 8.0, x = 0.90, y = 0.97, height = 0.60 }},
]
"""
WALKER = VISITOR.replace("rings_s = [5.0]\n", "").replace('"porch"', '"driveway"')
# What they film while the tests run: small, and nothing happens.
QUIET = """
title = "Nothing happens"
place = "porch"
duration_s = 30.0
picture = { width = 160, height = 90, fps = 5 }
"""


class Household(Parties):
    """Everything around the console. `start` makes it; `stop_all` ends it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cases = 0
        self.inboxes: dict[str, Relay] = {}
        for name, text in (("visitor", VISITOR), ("walker", WALKER), ("quiet", QUIET)):
            (folder / f"{name}.toml").write_text(text)

    def home(self, name: str) -> Path:
        return self.folder / "homes" / name

    @property
    def owner_key(self) -> Path:
        return self.folder / "owner.key.json"

    def start(self) -> None:
        """Start all parties, as many at once as don't need one another."""
        (self.folder / "homes").mkdir(mode=0o700)
        with ThreadPoolExecutor() as at_once:
            owner = at_once.submit(self.start_owner)
            self.start_hood()
            agencies = [at_once.submit(self.found_agency, *one) for one in ((PD, "Springfield PD"), (EVIL, MARKUP))]
            owner.result()
            devices = [at_once.submit(self._make, *one) for one in ((PORCH, "doorbell"), (DRIVE, "camera"))]
            for done in (*agencies, *devices):
                done.result()

    def stop_all(self) -> None:
        super().stop_all()
        for inbox in self.inboxes.values():
            inbox.close()

    def found_agency(self, agency: str, name: str) -> None:
        """Make an agency in a folder of its name, and have the operator admit it."""
        application = self.run(
            "agency", "init", "--dir", str(self.folder / agency), "--id", agency, "--name", name,
            "--domain", f"{agency}.example", "--contact", f"desk@{agency}.example",
            "--neighbourhood", str(self.folder / "hood" / FACTS_NAME),
        )  # fmt: skip
        file = self.folder / f"{agency}.json"
        file.write_text(application)
        self.run("broker", "admit", str(file), "--dir", str(self.folder / "hood"), "--evidence", "A letter")

    def ask_for(self, *, agency: str = PD, since_min: int = 60, **changes: Any) -> str:
        """Post a request for the last hour around the devices; returns its leaf hash."""
        now_us = time.time_ns() // 1_000
        self.cases += 1
        folder = AgencyFolder.load(self.folder / agency)
        request = Request(
            agency=agency,
            case=f"2026-{self.cases}",
            incident="package-theft",
            description="A parcel was taken.",
            contact=f"desk@{agency}.example",
            area=_around(Point.from_degrees(LAT, LON)),
            start=now_us - since_min * MINUTE_US,
            end=now_us - MINUTE_US,
            devices=("camera", "doorbell"),
            recipient=folder.recipient(),
            purpose="Find the parcel",
            retention_days=60,
            sharing=(),
            excludes=EXCLUDED_PURPOSES,
            posted_at=now_us,
            expires_at=now_us + 7 * 24 * 60 * MINUTE_US,
        ).model_copy(update=changes)
        with new_http() as http:
            return post(folder, request, log=LogClient(self.facts.log_url, policy=folder.policy(), http=http)).leaf

    def offered(self, *devices: str, **how: Any) -> str:
        """Ask, and wait until the devices offer it to their owner."""
        leaf = self.ask_for(**how)
        for name in devices or (PORCH, DRIVE):
            self.wait_for_state(name, leaf, "offered")
        return leaf

    def received_by(self, agency: str, leaf: str) -> list[dict[str, Any]]:
        """Have an agency fetch what was shared."""
        bundles: list[dict[str, Any]] = self.json("agency", "fetch", leaf, "--dir", str(self.folder / agency))
        return bundles

    def opened(self, leaf: str, *, agency: str = PD) -> dict[str, Any]:
        """Have an agency fetch the one bundle that was shared, and open it."""
        (bundle,) = self.received_by(agency, leaf)
        folder, out = str(self.folder / agency), str(self.folder / f"opened-{leaf[:12]}")
        found: dict[str, Any] = self.json("agency", "open", bundle["path"], "--dir", folder, "--out", out)
        return found

    def _make(self, name: str, kind: str) -> None:
        self.make_device(name, kind=kind, source=f"scene:{self.folder}/quiet.toml")
        inbox = Relay(int(self.facts.url.rpartition(":")[2]))
        self.inboxes[name] = inbox
        file = self.home(name) / "device.toml"
        here = f"http://127.0.0.1:{inbox.port}/inbox"
        file.write_text(file.read_text().replace(self.facts.inbox_url, here))
        film_into(self.home(name), self.takes(name))
        self.start_quick(name)

    def exchange(self, name: str, op: str, **arguments: Any) -> tuple[Any, bytes]:
        """Ask a device's daemon for something with raw bytes behind it."""
        return ControlClient(self.home(name)).exchange(op, **arguments)

    def start_quick(self, name: str, **environment: str) -> None:
        """Start a device that looks at requests often."""
        self.serve(name, "device", "run", "--home", str(self.home(name)), **{**QUICK, **environment})

    def takes(self, name: str) -> list[Take]:
        """Return what a device has filmed, in the order of time."""
        now_us = time.time_ns() // 1_000
        scene = f"scene:{self.folder}/{'visitor' if name == PORCH else 'walker'}.toml"
        takes = [Take(scene, now_us - minutes * MINUTE_US) for minutes in (170, 40)]
        if name == PORCH or not PHOTOGRAPH.is_file():
            return [*takes, Take(scene, now_us - 20 * MINUTE_US)]
        film = face_film(self.folder / "faces.mp4", width=480, height=270, fps=10, seconds=FACES_S)
        return [*takes, Take(f"file:{film}", now_us - 20 * MINUTE_US, CONTINUOUS)]


def _around(where: Point) -> Area:
    return Area(lat_e7=where.lat_e7, lon_e7=where.lon_e7, radius_m=200)


__all__ = ["DRIVE", "EVIL", "MARKUP", "PASSPHRASE", "PD", "PORCH", "Household"]
