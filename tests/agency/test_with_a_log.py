"""An agency and a running neighbourhood, as it is typed: asked, updated, rotated, revoked, and witnesses late."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.neighbourhood.support import Parties, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[Parties]:
    """Processes that end with the test."""
    parties = Parties(tmp_path)
    yield parties
    parties.stop_all()


def agency(parties: Parties, command: str, *arguments: str, ok: bool = True) -> str:
    return parties.run("agency", command, *arguments, "--dir", str(parties.folder / "agency"), ok=ok)


def told(parties: Parties, command: str) -> Any:
    return json.loads(agency(parties, command, "--json"))


def admit(parties: Parties, application: str) -> None:
    file = parties.folder / "application.json"
    file.write_text(application)
    parties.run("broker", "admit", str(file), "--dir", str(parties.folder / "hood"), "--evidence", "A letter")


@pytest.mark.timeout(240)
def test_the_life_of_an_agency(parties: Parties) -> None:
    """Requests and updates before and after a rotation of the key, until a revocation ends it."""
    parties.start_hood()
    parties.start_agency()
    leaf = parties.post()
    assert "answered: entry 2" in agency(parties, "update", leaf[:8], "--answered", "--note", "Thank you.")
    (listed,) = told(parties, "list")
    assert (listed["leaf"], listed["state"], listed["bundles_waiting"]) == (leaf, "open", 0)
    assert [said["kind"] for said in listed["updates"]] == ["answered"]
    status = told(parties, "status")
    assert (status["admitted"], status["ours"], status["rotating"], status["entry"]) == (True, True, False, 0)

    application = agency(parties, "rotate")
    another = parties.post(case="2026-2")
    assert told(parties, "status")["rotating"]
    admit(parties, application)
    third = parties.post(case="2026-3")  # signed by the new key, since the log says so
    status = told(parties, "status")
    assert (status["admitted"], status["ours"], status["rotating"]) == (True, True, False)
    assert status["record"]["key"] == json.loads(application)["key"]
    assert "resolved" in agency(parties, "update", leaf, "--resolved", "--note", "Found.")
    assert "withdrawn" in agency(parties, "withdraw", another)
    assert {one["leaf"]: one["state"] for one in told(parties, "list")} == {
        leaf: "resolved", another: "withdrawn", third: "open",
    }  # fmt: skip

    reason = ("--dir", str(parties.folder / "hood"), "--reason", "Asked too much")
    parties.run("broker", "revoke", "springfield-pd", *reason)
    assert "Asked too much" in agency(parties, "status")
    posted = Path(parties.folder / "agency" / "requests")
    before = sorted(posted.iterdir())
    with pytest.raises(AssertionError, match="revoked"):
        parties.post(case="2026-4")
    assert sorted(posted.iterdir()) == before


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.timeout(240)
def test_witnesses_that_come_late(parties: Parties) -> None:
    """A request that was taken and not witnessed in time is kept, told as such, and confirmed later; posted once."""
    hood, ports = parties.folder / "hood", [str(free_port()) for _ in range(3)]
    served = ("--dir", str(hood), "--mqtt-port", ports[0], "--http-port", ports[1])
    hood.mkdir()
    (hood / "neighbourhood.toml").write_text("[log]\nanswer_after_s = 0.5\ncosign_within_s = 2.0\n")
    parties.run("broker", "init", *served)
    witness = str(parties.folder / "witness")
    address = f"http://127.0.0.1:{ports[2]}"
    parties.run("witness", "init", "--dir", witness, "--name", "witness.example", "--url", address)
    parties.run("broker", "invite", f"{witness}/cosigner.json", "--dir", str(hood))
    serve_witness = ("witness", "run", "--dir", witness, "--neighbourhood", str(hood / "neighbourhood.json"))
    parties.serve("witness", *serve_witness)
    parties.serve("hood", "broker", "run", *served)
    parties.start_agency()
    parties.stop("witness")

    with pytest.raises(AssertionError, match="latchstring agency status"):
        parties.post("--wait", "2")
    (listed,) = told(parties, "list")
    assert listed["state"] == "unconfirmed"
    (sent,) = told(parties, "status")["sent"]
    assert (sent["leaf"], sent["index"]) == (listed["leaf"], None)
    assert "waiting for its witnesses" in sent["note"]

    parties.serve("witness", *serve_witness)
    wait_for(lambda: told(parties, "status")["sent"] == [] or told(parties, "list")[0]["state"] == "open", "witnessed",
             within_s=60)  # fmt: skip
    (listed,) = told(parties, "list")
    assert (listed["state"], listed["leaf"]) == ("open", sent["leaf"])
    report = parties.json(
        "log", "verify", f"http://127.0.0.1:{ports[1]}/log", "--neighbourhood", str(hood / "neighbourhood.json")
    )
    assert (report["ok"], report["counts"]["request"]) == (True, 1)
