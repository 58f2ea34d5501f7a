"""An owner asks for what they shared to be deleted: as it is typed, through every process, until the log says so."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.facts import FACTS_NAME
from broker.wire.deletions import Deletion, DeletionReceipt
from broker.wire.encoding import from_base64
from device.vault.ledger import LedgerEntry
from tests.neighbourhood.support import Parties, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

TOMORROWS_HOOD = """
import asyncio, sys
from pathlib import Path
from broker import logs
from broker.clock import system_now_us
from broker.neighbourhood import run
from broker.settings import load_settings
from broker.wire.rules import DAY_US
logs.configure()
folder, mqtt_port, http_port = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
settings = load_settings(folder, {"mqtt": {"port": mqtt_port}, "http": {"port": http_port}})
ready = lambda facts: print("ready", flush=True)
asyncio.run(run(folder, settings, on_ready=ready, now_us=lambda: system_now_us() + DAY_US))
"""


def shared(parties: Parties) -> str:
    """Bring everybody up and have one device share; returns the request's leaf hash."""
    leaf = parties.start_and_ask("porch")
    assert parties.approve("porch", leaf)["state"] == "received"
    return leaf


def ask(parties: Parties, leaf: str, *more: str) -> Any:
    return parties.json("review", "ask-deletion", leaf[:12], "--home", str(parties.home("porch")), "--yes", *more)


def ledger(parties: Parties) -> list[LedgerEntry]:
    lines = parties.run("review", "ledger", "--home", str(parties.home("porch")), "--json").splitlines()
    return [LedgerEntry.parse(line.encode()) for line in lines]


def test_an_owner_asks_and_the_agency_is_told(parties: Parties) -> None:
    """Kept, told and signed for; the agency can't overlook it; and the inbox has let go of its own copy."""
    leaf = shared(parties)
    (bundle,) = parties.fetch(leaf)
    assert not bundle["deletion_asked"]
    answer = ask(parties, leaf)
    assert answer["deletion"]["state"] == "told"
    assert ask(parties, leaf) == answer, "asked once, however often it is typed"

    entries = {entry.kind: entry.body for entry in ledger(parties)}
    assert list(entries)[-3:] == ["received", "deletion-asked", "deletion-told"]
    notice = Deletion.unverified(entries["deletion-asked"]["notice"].encode())
    assert (notice.request, notice.bundle_sha256) == (leaf, bundle["sha256"])
    receipt = entries["deletion-told"]["receipt"].encode()
    assert DeletionReceipt.open(receipt, key=from_base64(parties.facts.inbox_key)).bundle_sha256 == bundle["sha256"]
    assert "told" in parties.run("review", "show", leaf, "--home", str(parties.home("porch")))

    agency = ("--dir", str(parties.folder / "agency"))
    assert parties.fetch(leaf) == []
    (listed,) = parties.json("agency", "list", *agency)
    assert (listed["bundles_here"], listed["bundles_asked_back"], listed["bundles_to_delete"]) == (1, 1, 1)
    assert f"DELETE 1 bundle of request {leaf[:12]}" in parties.run("agency", "list", *agency)
    assert parties.json("agency", "status", *agency)["to_delete"] == {leaf: 1}
    assert parties.open(bundle["path"])["deletion_asked_at"] is not None
    Path(bundle["path"]).unlink()
    (listed,) = parties.json("agency", "list", *agency)
    assert (listed["bundles_here"], listed["bundles_asked_back"], listed["bundles_to_delete"]) == (0, 1, 0)
    parties.run("agency", "update", leaf, "--answered", "--note", "We have deleted what we were given.", *agency)


def test_an_inbox_that_is_away_is_told_later(parties: Parties) -> None:
    """What was asked is kept through the power cut of both, and told once; meanwhile the owner sees that it waits."""
    leaf = shared(parties)
    http_port = int(parties.facts.url.rpartition(":")[2])
    parties.stop("hood")
    assert ask(parties, leaf, "--wait", "0.5")["deletion"]["state"] == "asked"
    parties.stop("porch")
    parties.start_hood(mqtt_port=parties.facts.mqtt_port, http_port=http_port)
    parties.start_device("porch")
    wait_for(lambda: parties.ask("porch", "request", leaf=leaf)["deletion"]["state"] == "told", "told")
    assert [entry.kind for entry in ledger(parties)].count("deletion-asked") == 1


def test_an_inbox_that_lost_the_bundle_is_told_as_such(parties: Parties) -> None:
    """The owner learns that nobody was told, and whom to write to."""
    leaf = shared(parties)
    http_port, mqtt_port = int(parties.facts.url.rpartition(":")[2]), parties.facts.mqtt_port
    parties.stop("hood")
    shutil.rmtree(parties.folder / "hood" / "inbox")
    parties.start_hood(mqtt_port=mqtt_port, http_port=http_port)
    said = parties.run("review", "ask-deletion", leaf, "--home", str(parties.home("porch")), "--yes", ok=False)
    assert "knows no such bundle" in said
    assert "write to desk@pd.example" in said
    (summary,) = json.loads(parties.run("review", "list", "--home", str(parties.home("porch")), "--json"))
    assert (summary["state"], summary["deletion"]["state"]) == ("received", "failed")


def test_nothing_is_asked_of_whom_nothing_was_given(parties: Parties) -> None:
    """Neither of a request that only waits, nor without a word from the owner; and nothing is kept of it."""
    leaf = parties.start_and_ask("porch")
    home = ("--home", str(parties.home("porch")))
    assert "was given nothing" in parties.run("review", "ask-deletion", leaf, *home, "--yes", ok=False)
    assert parties.approve("porch", leaf)["state"] == "received"
    assert "no terminal" in parties.run("review", "ask-deletion", leaf, *home, ok=False)
    assert "deletion-asked" not in [entry.kind for entry in ledger(parties)]


def test_the_public_log_says_so_once_the_day_is_over(parties: Parties) -> None:
    """Logged by the operator as a count and a day; a stranger's check holds, and pages and other devices tell of it."""
    leaf = shared(parties)
    ask(parties, leaf)
    facts = str(parties.folder / "hood" / FACTS_NAME)
    log = f"{parties.facts.url}/log"
    assert "deletions-asked" not in parties.json("log", "verify", log, "--neighbourhood", facts)["counts"]
    http_port, mqtt_port = int(parties.facts.url.rpartition(":")[2]), parties.facts.mqtt_port
    parties.stop("hood")
    parties.running["hood"] = process = subprocess.Popen(
        [sys.executable, "-c", TOMORROWS_HOOD, parties.folder / "hood", str(mqtt_port), str(http_port)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    wait_for(lambda: _asked_back(parties, leaf) == 1, "the count in the log")
    report = parties.json("log", "verify", log, "--neighbourhood", facts)
    assert (report["ok"], report["counts"]["deletions-asked"]) == (True, 1)
    assert "1 owner who answered has asked for it" in httpx.get(f"{parties.facts.url}/requests/{leaf}").text
    wait_for(lambda: parties.ask("porch", "request", leaf=leaf)["record"]["deletions_asked"] == 1, "read at home")


def _asked_back(parties: Parties, leaf: str) -> int:
    return int(httpx.get(f"{parties.facts.url}/api/requests/{leaf}").json()["deletions_asked"])
