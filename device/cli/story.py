"""How the demonstration is told: on the terminal as it happens, and afterwards in story.json and a contact sheet."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.table import Table

from broker.neighbourhood import Facts
from broker.wire.encoding import format_time, parse_time
from broker.wire.proofs import parse_policy
from broker.wire.rules import MINUTE_US

LAT, LON = 52.5203, 13.4054  # what the agency asks about
COLOURS = {"front-door": "cyan", "driveway": "magenta", "owner": "green", "agency": "yellow", "operator": "blue",
           "neighbourhood": "blue", "public": "blue",
           "witness": "yellow", "mirror": "yellow"}  # fmt: skip


class Story:
    """What happened, in stable fields; all paths are relative to the run's folder."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.fields: dict[str, Any] = {
            "devices": [], "events": [], "request": {}, "decisions": [], "released": {}, "received": {}, "log": {},
            "agency": {"folder": "agency", "identity": "agency/identity.txt"}, "homes": {},
        }  # fmt: skip

    @property
    def bundle_sha256(self) -> str:
        """The SHA-256 of the bundle that was released, in hex."""
        return str(self.fields["released"]["sha256"])

    def devices(self, devices: list[dict[str, str]]) -> None:
        """Keep which devices took part."""
        self.fields["devices"] = devices
        self.fields["homes"] = {one["name"]: one["name"] for one in devices}

    def events(self, events: list[dict[str, Any]]) -> None:
        """Keep the events as published, each in its last phase."""
        self.fields["events"] = events

    def request(self, folder: Path, posted: dict[str, Any]) -> None:
        """Keep what was asked."""
        self.fields["request"] = {
            "leaf": posted["leaf"],
            "index": posted["index"],
            "envelope": self._relative(folder / "request.dsse.json"),
            "proof": self._relative(folder / "request.tlog-proof"),
            **posted["request"],
        }

    def decided(self, device: str, decision: str, leaf: str) -> None:
        """Keep a decision of the owner."""
        self.fields["decisions"].append({"device": device, "decision": decision, "request": leaf})

    def released(self, device: str, released: dict[str, Any]) -> None:
        """Keep what left."""
        self.decided(device, "approved", released["request"])
        self.fields["released"] = {
            "device": device,
            "bundle": "",
            "sha256": released["bundle_sha256"],
            "bytes": released["bundle_bytes"],
            "recipient": released["recipient"],
            "clips": [{key: clip[key] for key in ("file", "start", "end")} for clip in released["clips"]],
        }

    def received(self, bundle: Path, opened: dict[str, Any]) -> None:
        """Keep what arrived, and draw the contact sheet from the opened files."""
        from device.video.pictures import SheetRow, contact_sheet  # noqa: PLC0415 - cv2 and av take their time

        folder = Path(opened["folder"])
        self.fields["released"]["bundle"] = self._relative(bundle)
        self.fields["received"] = {
            "bundle": self._relative(bundle),
            "folder": self._relative(folder),
            "verified": opened["verified"],
            "files": [{**file, "path": self._relative(folder / file["name"])} for file in opened["files"]],
            "clips": opened["clips"],
        }
        rows = [
            SheetRow(
                title=f"{opened['device']}, {clip['file']}",
                clip=(folder / clip["file"]).read_bytes(),
                note=clip["seal"],
                start_us=parse_time(clip["start"]),
            )
            for clip in opened["clips"]
        ]
        sheet = contact_sheet(rows, heading=f"What the agency received for case {self.fields['request']['case']}")
        (self.out / "contact-sheet.png").write_bytes(sheet)

    def log(self, folder: Path, facts: Facts, report: dict[str, Any]) -> None:
        """Keep the public log and how it was checked."""
        self.fields["log"] = {
            "folder": self._relative(folder),
            "origin": facts.origin,
            "verifier_key": str(parse_policy(facts.policy).logs[0]),
            "operator_key": facts.operator_key,
            "size": report["size"],
            "root": report["root"],
            "verified": report["ok"],
        }

    def write(self) -> None:
        """Write story.json."""
        text = json.dumps(self.fields, indent=2, ensure_ascii=False) + "\n"
        (self.out / "story.json").write_text(text, encoding="utf-8")

    def _relative(self, path: Path) -> str:
        return str(path.resolve().relative_to(self.out))


class Teller:
    """Tells the story line by line; on a terminal with colours and a spinner, elsewhere plainly."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._began = time.monotonic()

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._console.print(Rule(text, style="dim"))

    def tell(self, who: str, what: str) -> None:
        """Say what somebody did."""
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        colour = COLOURS.get(who, "white")
        self._console.print(f"[dim]{now}[/dim]  [{colour}]{who:<13}[/{colour}]  {what}", soft_wrap=True)

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show that something takes its time."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(what):
            yield

    def summary(self, story: Story, sealed: dict[str, int]) -> None:
        """Show what left the house and what did not, and where the files are."""
        fields = story.fields
        table = Table("", "stayed at home, sealed", "left the house", title="What left the house, and what did not")
        for device in fields["homes"]:
            events = sum(one["device"] == device for one in fields["events"])
            left = f"{events} event{'s' * (events != 1)} over MQTT, to the home's own broker, without pictures"
            if device == fields["released"]["device"]:
                clips, size = len(fields["released"]["clips"]), fields["released"]["bytes"]
                left += f"\n{clips} clip{'s' * (clips != 1)} in a bundle of {size:,} bytes, sealed to the agency"
            else:
                left += "\nnothing else"
            table.add_row(device, f"{sealed[device]:,} bytes of footage", left)
        table.add_row("owner", "the key and its passphrase; the approval", "nothing")
        console = self._console
        console.print()
        console.print(table)
        console.print(f"\nEverything is in [bold]{story.out}[/bold]", soft_wrap=True)
        rows = [
            ("story.json", "what happened, for programs"),
            ("contact-sheet.png", "what the agency received, as pictures"),
            (fields["received"]["folder"] + "/", "the files that the agency opened"),
            (fields["released"]["bundle"], "the sealed bundle"),
            (fields["log"]["folder"] + "/", "the public log, as static tiles"),
        ]
        for path, what in rows:
            console.print(f"  {path}  [dim]{what}[/dim]", soft_wrap=True)
        console.print(f"\n[dim]{time.monotonic() - self._began:.0f} s[/dim]")

    def go_on(self, out: Path, url: str, owner_key: Path, passphrase: Path) -> None:
        """Say what the user can do while it keeps running."""
        console = self._console
        again = out / "another-request.toml"
        again.write_text(_another_request(time.time_ns() // 1_000), encoding="utf-8")
        self.heading("It keeps running; in another terminal")
        approve = f"latchstring review approve REQUEST --home {out / 'front-door'}"
        lines = [
            ("the public feed", f"{url}/"),
            ("ask again", f"latchstring agency post {again} --dir {out / 'agency'}"),
            ("open your page", f"latchstring console --home {out} --owner-key {owner_key}"),
            ("its passphrase", f"cat {passphrase}"),
            ("see who asks", f"latchstring review list --home {out / 'front-door'}"),
            ("look at one", f"latchstring review show REQUEST --home {out / 'front-door'}"),
            ("approve", f"{approve} --owner-key {owner_key} --passphrase-file {passphrase}"),
            ("decline", f"latchstring review decline REQUEST --home {out / 'driveway'}"),
            ("fetch", f"latchstring agency fetch REQUEST --dir {out / 'agency'}"),
            ("ring the bell", f"latchstring device ring --home {out / 'front-door'}"),
        ]
        for what, command in lines:
            console.print(f"  [dim]{what:<16}[/dim] {command}", soft_wrap=True)
        console.print("[dim]Ctrl-C ends it.[/dim]")
        sys.stdout.flush()


def _another_request(now_us: int) -> str:
    """Return a request file for what was filmed so far."""
    start, end = format_time(now_us - 30 * MINUTE_US), format_time(now_us)
    return f"""# What an agency could ask next; each case may be posted twice.
case = "2026-004712"
incident = "vehicle-break-in"
description = "A car was opened in this street."
lat = {LAT}
lon = {LON}
radius_m = 250
start = {start}
end = {end}
purpose = "Find out who opened the car"
retention_days = 30
"""
