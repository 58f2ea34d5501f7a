"""What the operator's process is told, and what it tells: settings, facts, and mistakes in one line each."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from broker.facts import FACTS_NAME, Facts, MirrorFacts, read_facts
from broker.neighbourhood import read_facts as read_facts_elsewhere
from broker.settings import SettingsError, load_settings

FACTS = Facts(
    origin="log.example.org/test",
    policy="log\n",
    operator_key="AAAA",
    inbox_key="AAAA",
    url="https://log.example.org",
    mqtt_host="log.example.org",
    mqtt_port=8883,
    mqtt_tls=True,
    mirrors=(MirrorFacts("m.example.org", "https://m.example.org"),),
)


def test_relative_paths_are_below_the_neighbourhoods_folder(tmp_path: Path) -> None:
    """Wherever the command is started, and whether file or flag said it; absolute ones stay."""
    (tmp_path / "neighbourhood.toml").write_text(
        '[mqtt]\naccess_file = "access.toml"\npassword_file = "secrets/password"\nca_file = "/etc/ca.pem"\n'
    )
    section = load_settings(tmp_path, {"mqtt": {"key_file": "broker.key.pem"}}).mqtt
    assert section.access_file == tmp_path / "access.toml"
    assert section.password_file == tmp_path / "secrets" / "password"
    assert section.ca_file == Path("/etc/ca.pem")
    assert section.key_file == tmp_path / "broker.key.pem"
    assert section.certificate_file is None


def test_variables_may_name_every_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable wins over the default; one that is no setting is refused."""
    monkeypatch.setenv("LATCHSTRING_BROKER_INBOX__KEEP_DAYS", "7")
    monkeypatch.setenv("LATCHSTRING_BROKER_MQTT__PUBLIC_HOST", "mqtt.example.org")
    settings = load_settings(tmp_path)
    assert (settings.inbox.keep_days, settings.mqtt.public_host) == (7, "mqtt.example.org")
    monkeypatch.setenv("LATCHSTRING_BROKER_INBOX__KEEP_WEEKS", "7")
    with pytest.raises(SettingsError, match="KEEP_WEEKS"):
        load_settings(tmp_path)


def test_facts_come_back(tmp_path: Path) -> None:
    """What is written is read again; a file of before there were TLS and mirrors in it says that there are none."""
    FACTS.write(tmp_path)
    assert read_facts(tmp_path / FACTS_NAME) == read_facts_elsewhere(tmp_path / FACTS_NAME) == FACTS
    older = asdict(FACTS)
    del older["mqtt_tls"]
    del older["mirrors"]
    (tmp_path / "older.json").write_text(json.dumps(older))
    assert read_facts(tmp_path / "older.json") == replace(FACTS, mqtt_tls=False, mirrors=())


@pytest.mark.parametrize(
    "change",
    [
        {"mqtt_port": "1883"},
        {"mqtt_tls": 1},
        {"url": None},
        {"more": 1},
        {"mqtt_port": True},
        {"mirrors": {}},
        {"mirrors": [["m", "https://m.example.org"]]},
        {"mirrors": [{"name": "m"}]},
        {"mirrors": [{"name": "m", "url": 1}]},
        {"mirrors": [{"name": "m", "url": "https://m.example.org", "more": ""}]},
    ],
)
def test_other_facts_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """A field too many, or one of another type, is told with the file's name."""
    path = tmp_path / FACTS_NAME
    path.write_text(json.dumps(asdict(FACTS) | change))
    with pytest.raises(SettingsError, match=FACTS_NAME):
        read_facts(path)
    path.write_text("[]")
    with pytest.raises(SettingsError, match=FACTS_NAME):
        read_facts(path)


@pytest.mark.slow
def test_it_says_ready_and_what_devices_are_told(tmp_path: Path) -> None:
    """The first line on standard output begins with `ready:`; the facts name the public host, and files beside them."""
    (tmp_path / "neighbourhood.toml").write_text('[mqtt]\npublic_host = "mqtt.example.org"\naccess_file = "who.toml"\n')
    (tmp_path / "who.toml").write_text('anonymous = "public"\n')
    command = [sys.executable, "-m", "broker", "broker", "run", "--dir", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--mqtt-port", "0", "--http-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready: ")
    facts = read_facts(tmp_path / FACTS_NAME)
    assert (facts.mqtt_host, facts.mqtt_tls) == ("mqtt.example.org", False)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_second_process_on_one_log_ends_with_one_line(tmp_path: Path) -> None:
    """Two operators' processes on one folder would fork the log; the first goes on as if nothing had been."""
    command = [sys.executable, "-m", "broker", "broker", "run", "--dir", str(tmp_path)]
    ports = ["--mqtt-port", "0", "--http-port", "0"]
    with subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline().startswith("ready: ")
        facts = (tmp_path / FACTS_NAME).read_bytes()
        second = subprocess.run([*command, *ports], capture_output=True, text=True, timeout=30, check=False)
        assert (second.returncode, second.stdout) == (1, "")
        *events, said = second.stderr.splitlines()
        assert said.startswith("broker: ")
        assert "in use by another 'latchstring broker run'" in said
        assert all(event.startswith("{") for event in events)
        assert (tmp_path / FACTS_NAME).read_bytes() == facts
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=20)
    assert first.returncode == 0
