"""What the owner is told of the public log: set up, shown, exported, in words that don't say more than is known."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from broker.clock import system_now_us
from broker.facts import Facts, MirrorFacts
from broker.wire.encoding import to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.notes import parse_note
from device.cli.shownlog import export_evidence, log_rows, show_log
from device.consent.words import ago, proof_in_words, record_in_words
from device.logstatus import log_status
from device.pinned import log_policy
from device.settings import SettingsError, load_settings
from tests.cli.test_mistakes import _public
from tests.home.log_support import Household, witnessed_hood
from tests.simulators import NOW_US, LogSimulator, signing_key


def facts_of(log: LogSimulator, **more: Any) -> Facts:
    key = to_base64(public_bytes(signing_key(2)))
    return Facts(
        origin=log.origin, policy=log.policy_text, operator_key=key, inbox_key=key, url="https://hood.example",
        mqtt_host="127.0.0.1", mqtt_port=1883, **more,
    )  # fmt: skip


def init(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "owner.pub.json").write_bytes(_public())
    return subprocess.run(
        [sys.executable, "-P", "-m", "device", "device", "init", "--home", str(folder / "home"), "--name", "porch",
         "--owner", str(folder / "owner.pub.json"), "--source", "scene:empty-porch", "--lat", "1", "--lon", "2",
         "--neighbourhood", str(folder / "neighbourhood.json"), *more],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("witnesses", [0, 2])
def test_a_neighbourhood_without_mirrors_needs_the_owners_word(tmp_path: Path, witnesses: int) -> None:
    """Where no mirror has to cosign, init refuses in one line; with --unwitnessed the settings say so."""
    facts_of(LogSimulator(witnesses=witnesses)).write(tmp_path)
    done = init(tmp_path)
    assert done.returncode == 1
    assert "--unwitnessed puts up with that" in done.stderr
    assert "have the operator invite one first (latchstring broker invite)" in done.stderr
    assert not (tmp_path / "home").exists()
    assert init(tmp_path, "--unwitnessed").returncode == 0
    section = load_settings(tmp_path / "home").neighbourhood
    assert section is not None
    assert section.unwitnessed
    log_policy(tmp_path / "home", section)
    with pytest.raises(SettingsError, match="asks for no mirror"):
        log_policy(tmp_path / "home", section.model_copy(update={"unwitnessed": False}))


@pytest.mark.slow
def test_mirrors_are_set_up_with_the_device(tmp_path: Path) -> None:
    """A neighbourhood whose policy needs a mirror is taken as it is: where the log is read stands in device.toml."""
    mirror = MirrorFacts(name="mirror-0", url="https://mirror.example")
    facts_of(LogSimulator(mirrors=1), mirrors=(mirror,)).write(tmp_path)
    done = init(tmp_path)
    assert done.returncode == 0, done.stderr
    written = tomllib.loads((tmp_path / "home" / "device.toml").read_text())["neighbourhood"]
    assert written["log_url"] == "https://hood.example/log"
    assert written["mirrors"] == [{"name": "mirror-0", "url": "https://mirror.example"}]
    assert "unwitnessed" not in written
    section = load_settings(tmp_path / "home").neighbourhood
    assert section is not None
    assert log_policy(tmp_path / "home", section).needs("mirrors")


def test_a_policy_of_two_logs_is_refused(tmp_path: Path) -> None:
    """A device reads one log."""
    one, other = LogSimulator(mirrors=1), LogSimulator(origin="other", seed=9)
    (tmp_path / "policy.txt").write_text(f"log {other.verifier}\n{one.policy_text}")
    facts_of(one).write(tmp_path)
    example = Path(__file__).parents[2] / "config" / "device.toml"
    (tmp_path / "device.toml").write_text(example.read_text())
    section = load_settings(tmp_path).neighbourhood
    assert section is not None
    with pytest.raises(SettingsError, match="names 2 logs"):
        log_policy(tmp_path, section)


async def test_the_log_is_shown_with_who_vouches_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Size, cosigners and their times, who serves it, and once it contradicts itself, that nothing counts."""
    hood = witnessed_hood()
    house = Household(tmp_path, hood, mirror=hood.log)
    house.server.down = {"mirror"}
    await house.look()
    told = {**log_status(house.follower, house.reader), "kept": house.follower.counts(), "evidence": []}
    show_log(json.loads(json.dumps(told)))
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 entries read of log.example/requests" in shown
    assert "vouched for by witness-0" in shown
    assert "http" in shown
    assert all(one["url"] in "".join(shown.split()) for one in told["sources"])
    assert "witness-0" in shown
    assert "nobody listens" in shown
    other = hood.log.fork(0)
    other.append(b"another")
    house.server.logs["log"] = other
    await house.look()
    rows = dict(log_rows(log_status(house.follower, house.reader)))
    assert rows["CONTRADICTION"].endswith("nothing of this log counts until you say so")
    await house.aclose()


def test_who_vouches_and_what_is_kept_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A mirror alone is named as such and not as witnesses; revoked agencies are told; an address stands whole."""
    url = f"https://mirror.example.org/{'0123456789abcdef' * 4}"
    log: dict[str, Any] = {
        "witnessed": True, "needs_mirror": True, "read": 5, "size": 5, "origin": "log.example", "contradiction": None,
        "hold": None, "root": None, "cosigned_us": NOW_US, "void": 0, "refused_heads": 0, "evidence": [],
        "cosigners": [{"name": "mirror.example.org", "kind": "mirror", "cosigned_us": NOW_US},
                      {"name": "late.example.org", "kind": "witness", "cosigned_us": None}],
        "sources": [{"name": "mirror.example.org", "url": url, "error": None, "size": 5}],
    }  # fmt: skip
    assert dict(log_rows(log))["vouched for"] == f"by mirror.example.org, {ago(NOW_US, now_us=system_now_us())}"
    assert dict(log_rows(log | {"cosigned_us": None}))["vouched for"] == "by nobody yet"
    for agencies, revoked, words in (
        (1, 0, "1 agency,"),
        (1, 1, "1 agency, revoked,"),
        (3, 2, "3 agencies (2 revoked),"),
    ):
        show_log(log | {"kept": {"agencies": agencies, "revoked": revoked, "requests": 2, "cases": 1}})
        shown = capsys.readouterr().out
        assert words in " ".join(shown.split())
        assert url in "".join(shown.split())


async def test_the_evidence_is_exported_as_it_came(tmp_path: Path) -> None:
    """Both notes byte for byte, with what it takes to compare them."""
    house = Household(tmp_path, witnessed_hood())
    await house.look()
    other = house.hood.log.fork(0)
    other.append(b"another")
    house.server.logs["log"] = other
    await house.look()
    (one,) = house.follower.evidence()
    told = [{"number": 1, "first": one.first_note.decode(), "second": one.second_note.decode(),
             "proof": one.proof.decode()}]  # fmt: skip
    export_evidence(tmp_path / "out", told)
    assert (tmp_path / "out" / "1-first.note").read_bytes() == house.hood.log.head()
    assert parse_note((tmp_path / "out" / "1-second.note").read_bytes()) == parse_note(other.head())
    assert json.loads((tmp_path / "out" / "1-proof.json").read_text())["size"] == 1
    assert "RFC 6962" in (tmp_path / "out" / "README.txt").read_text()
    await house.aclose()


def test_a_log_without_witnesses_is_called_so() -> None:
    """Neither the log nor a request in it is said to be vouched for where only the operator does."""
    log = {"witnessed": False, "read": 5, "size": 5, "origin": "log.example", "contradiction": None, "hold": None}
    assert "unwitnessed" in dict(log_rows(log))["vouched for"]
    words = proof_in_words({"index": 3, "log": {**log, "cosigned_us": None, "cosigned_by": []}}, now_us=NOW_US)
    assert words == (
        "entry 3; this device has itself read it there, among 5 entries. Unwitnessed: only the operator vouches for"
        " that log"
    )


def test_the_words_of_a_proof_and_of_a_record() -> None:
    """Who cosigned, how long ago, what stands against it now; and an agency's past in one line."""
    log = {"witnessed": True, "read": 5, "cosigned_by": ["library", "neighbour"], "cosigned_us": 0, "hold": "it is old"}
    words = proof_in_words({"index": 3, "log": log}, now_us=NOW_US)
    assert "Cosigned by library, neighbour, " in words
    assert words.endswith(" d ago. BUT: it is old")
    record = {"since_us": NOW_US, "asked": 41, "withdrawn": 2, "mean_area_m2": 125_664.0, "turned_away": 7}
    asked = "admitted since 2026-09-21; asked 41 times, took 2 back; 0.13 km² on average; 7 more turned away at intake"
    assert record_in_words(record | {"deletions_asked": 0}) == asked
    assert record_in_words(record | {"deletions_asked": 3}) == asked + "; 3 times asked to delete what it was given"
    nothing: dict[str, Any] = dict.fromkeys(("asked", "withdrawn", "mean_area_m2", "turned_away", "deletions_asked"), 0)
    nothing |= {"since_us": None}
    assert record_in_words(nothing) == "asked 0 times, took 0 back"
    assert ago(NOW_US + 1, now_us=NOW_US) == "just now"
