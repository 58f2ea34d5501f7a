"""Faults in between: brokers that go away, power cuts, cut uploads, and late or wrong decisions. Nothing is lost."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.wire.encoding import parse_json
from tests.neighbourhood.support import Parties, wait_for
from tests.support_mqtt import Listener

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def seqs(heard: Listener) -> list[int]:
    """Return the numbers of all events that were heard, each once."""
    return sorted({parse_json(payload, max_bytes=10_000)["seq"] for _, payload in heard.messages})


def test_no_event_is_lost_while_the_broker_is_away(parties: Parties) -> None:
    """The connection breaks before somebody comes and is back when all is over: every event arrives, in its number."""
    parties.start_hood()
    parties.start_owner()
    parties.make_device("porch", kind="doorbell")
    relay = parties.record(parties.facts.mqtt_port)
    with Listener(parties.facts.mqtt_port, "latchstring/porch/event") as heard:
        parties.point("porch", mqtt_port=relay.port)
        parties.start_device("porch")
        wait_for(lambda: parties.status("porch")["links"][0]["connected"], "porch: connected")
        relay.cut()
        parties.wait_for_clip("porch")
        waiting = parties.status("porch")["outbox"]
        assert waiting["messages"] >= 3
        assert heard.messages == []
        relay.mend()
        last = waiting["next_seq"] - 1
        wait_for(lambda: last in seqs(heard), "the last event arrives", within_s=60)
        assert seqs(heard) == list(range(1, last + 1))


def test_a_power_cut_in_the_middle_of_filming_loses_nothing(parties: Parties) -> None:
    """SIGKILL while a clip is being written: the store is sound, the clip is there up to then, and filming goes on."""
    parties.start_hood()
    parties.start_owner()
    parties.make_device("porch")
    parties.start_device("porch")
    wait_for(lambda: parties.status("porch")["storage"]["bytes"] > 150_000, "some footage")
    known = parties.status("porch")
    parties.stop("porch", signal.SIGKILL)
    report = parties.json("device", "check", "--home", str(parties.home("porch")))
    assert report["sound"], report["findings"]
    parties.start_device("porch")
    assert parties.status("porch")["storage"]["bytes"] >= known["storage"]["bytes"]
    known_ids = {event["event"] for event in known["events"]}
    assert known_ids <= {event["event"] for event in parties.status("porch")["events"]}
    parties.wait_for_clip("porch")
    parties.stop("porch")
    report = parties.json("device", "check", "--home", str(parties.home("porch")))
    assert report["clean"], report["findings"]
    assert not list(parties.home("porch").rglob("*.mp4"))


def test_an_upload_goes_on_where_it_was_cut(parties: Parties) -> None:
    """The inbox goes away in the middle of an upload, and the device's power too: one bundle arrives, once, whole."""
    parties.start_hood()
    parties.start_owner()
    parties.make_device("porch")
    relay = parties.record(int(parties.facts.url.rpartition(":")[2]))
    parties.point("porch", http_port=relay.port)
    parties.start_device("porch")
    parties.start_agency()
    parties.wait_for_clip("porch")
    leaf = parties.post()
    parties.wait_for_state("porch", leaf, "offered")
    relay.cut()
    released = parties.approve("porch", leaf, "--wait", "1")
    assert released["state"] == "released"
    assert parties.fetch(leaf) == []
    parties.stop("porch", signal.SIGKILL)
    parties.start_device("porch")
    relay.mend()
    parties.wait_for_state("porch", leaf, "received", within_s=30)
    (bundle,) = parties.fetch(leaf)
    assert bundle["sha256"] == released["bundle_sha256"]
    assert parties.open(bundle["path"])["verified"]
    kinds = [parse_json(line.encode(), max_bytes=100_000) for line in _ledger(parties, "porch")]
    assert len(kinds) == 3
    assert not list((parties.home("porch") / "outgoing").iterdir())


def test_decisions_that_must_not_take_effect(parties: Parties) -> None:
    """A wrong passphrase, a withdrawn request, a second approval: one clear line each, and nothing is sent."""
    parties.start_hood()
    parties.start_owner()
    parties.make_device("porch")
    parties.start_device("porch")
    parties.start_agency()
    parties.wait_for_clip("porch")
    withdrawn, kept = parties.post(), parties.post(case="2026-2")
    for leaf in (withdrawn, kept):
        parties.wait_for_state("porch", leaf, "offered")
    wrong = parties.folder / "wrong"
    wrong.write_text("another\n")
    wrong.chmod(0o600)
    arguments = ("--home", str(parties.home("porch")), "--owner-key", str(parties.folder / "owner.key.json"), "--yes")
    error = parties.run("review", "approve", kept, *arguments, "--passphrase-file", str(wrong), ok=False)
    assert "passphrase does not open" in error
    parties.run("agency", "withdraw", withdrawn, "--dir", str(parties.folder / "agency"))
    parties.wait_for_state("porch", withdrawn, "withdrawn")
    passphrase = ("--passphrase-file", str(parties.passphrase))
    assert "withdrawn" in parties.run("review", "approve", withdrawn, *arguments, *passphrase, ok=False)
    assert parties.fetch(withdrawn) == []
    parties.approve("porch", kept)
    assert "received" in parties.run("review", "approve", kept, *arguments, *passphrase, ok=False)
    assert len(parties.fetch(kept)) == 1
    third = parties.run(
        "agency", "post", "--dir", str(parties.folder / "agency"), "--case", "2026-3", "--incident", "theft",
        "--description", "Too wide.", "--lat", "52.52", "--lon", "13.405", "--radius-m", "5000",
        "--start", "2026-01-01T00:00:00Z", "--end", "2026-01-03T00:00:00Z", "--purpose", "x", "--retention-days", "400",
        ok=False,
    )  # fmt: skip
    assert "not posted" in third


def _ledger(parties: Parties, device: str) -> list[str]:
    return parties.run("review", "ledger", "--home", str(parties.home(device)), "--json").splitlines()


def test_a_second_daemon_on_one_home_is_refused(parties: Parties) -> None:
    """Two processes never write one store: the second says who holds it, and changes nothing."""
    parties.start_hood()
    parties.start_owner()
    parties.make_device("porch")
    parties.start_device("porch")
    assert "in use" in parties.run("device", "run", "--home", str(parties.home("porch")), ok=False)
    time.sleep(0.1)
    assert parties.status("porch")["device"] == "porch"


@pytest.fixture
def small_disk(parties: Parties) -> Iterator[Path]:
    """A device's folder on a real file system of a megabyte and a half."""
    folder = parties.home("porch")
    folder.mkdir(mode=0o700)
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=1500k,mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk takes root")
    yield folder
    parties.stop_all()
    subprocess.run([shutil.which("umount") or "umount", str(folder)], check=True)


def test_a_full_disk_costs_old_footage_and_no_more(parties: Parties, small_disk: Path) -> None:
    """On a disk too small for its ring a device goes on filming; when nothing is left it says so; then it recovers."""
    parties.start_hood()
    parties.start_owner()
    parties.make_device("porch")
    tight = {"LATCHSTRING_CAMERA__RECORD": "continuous", "LATCHSTRING_CAMERA__MAX_CLIP_S": "5"}
    parties.start_device("porch", LATCHSTRING_CAMERA__LOOP="true", **tight)
    log = parties.folder / "porch.log"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(700_000))
    wait_for(lambda: "clip_evicted" in log.read_text(), "the oldest clip gives way", within_s=40)

    def told() -> bool:
        # Whatever footage gives way is taken at once by somebody else.
        with contextlib.suppress(OSError), ballast.open("ab") as file:
            while True:
                file.write(bytes(4_096))
        return "disk full" in parties.status("porch")["problem"]

    wait_for(told, "the owner is told", within_s=40)
    ballast.unlink()
    wait_for(lambda: not parties.status("porch")["problem"], "it recovers", within_s=40)
    assert parties.stop("porch") == 0
    report = parties.json("device", "check", "--home", str(small_disk))
    assert report["sound"], report["findings"]
