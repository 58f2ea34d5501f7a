"""The same path over a real Mosquitto, with users, passwords and the access policy that we write for it."""

import getpass
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.mqtt import hash_password
from tests.conftest import need
from tests.neighbourhood.support import Parties, wait_for
from tests.support_mqtt import Listener

pytestmark = [pytest.mark.slow, pytest.mark.mosquitto, pytest.mark.timeout(120)]
USERS = {"porch": "device", "garage": "device", "home": "owner", "operator": "operator", "curious": "public"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def password(user: str) -> str:
    return f"the password of {user}"


@pytest.fixture
def mosquitto(parties: Parties) -> Iterator[int]:
    """A Mosquitto that enforces our access policy, started from the files that our command writes."""
    program, port = need("mosquitto"), free_port()
    lines = []
    for user, role in USERS.items():
        hashed = hash_password(password(user).encode(), iterations=101)
        lines += [f"[users.{user}]", f'role = "{role}"', f'password_hash = "{hashed}"']
    access = parties.folder / "access.toml"
    access.write_text("\n".join(lines))
    folder = parties.folder / "mosquitto"
    parties.run(
        "broker", "mosquitto", str(access), "--out", str(folder), "--port", str(port), "--run-as", getpass.getuser()
    )
    with (parties.folder / "mosquitto.log").open("w") as log:
        process = subprocess.Popen([program, "-c", folder / "mosquitto.conf"], stdout=log, stderr=log)
    wait_for(lambda: listens(port), "Mosquitto listens")
    yield port
    process.terminate()
    process.wait(10)


def secret(folder: Path, user: str) -> Path:
    path = folder / f"{user}.password"
    path.write_text(password(user) + "\n")
    path.chmod(0o600)
    return path


def test_the_path_over_mosquitto(parties: Parties, mosquitto: int) -> None:
    """Events reach the owner and nobody else; the request reaches the device; the bundle reaches the agency."""
    hood = parties.folder / "hood"
    hood.mkdir()
    (hood / "neighbourhood.toml").write_text(
        f'[mqtt]\nembedded = false\nport = {mosquitto}\nusername = "operator"\n'
        f'password_file = "{secret(parties.folder, "operator")}"\n'
    )
    parties.start_hood(mqtt_port=mosquitto)
    parties.start_owner()
    parties.make_device("porch", kind="doorbell")
    file = parties.home("porch") / "device.toml"
    shutil.copy(secret(parties.folder, "porch"), parties.home("porch") / "mqtt-password")
    login = 'username = "porch"\npassword_file = "mqtt-password"\n'
    text = file.read_text().replace("[home]\n", f"[home]\n{login}expect_receipts = true\n")
    file.write_text(text.replace("[neighbourhood.mqtt]\n", f"[neighbourhood.mqtt]\n{login}"))
    owner = Listener(mosquitto, "latchstring/+/event", username="home", password=password("home"))
    curious = Listener(mosquitto, "#", username="curious", password=password("curious"))
    with owner, curious:
        parties.start_device("porch")
        parties.start_agency()
        parties.wait_for_clip("porch")
        leaf = parties.post()
        parties.wait_for_state("porch", leaf, "offered")
        parties.approve("porch", leaf)
        (bundle,) = parties.fetch(leaf)
        assert parties.open(bundle["path"])["verified"]
        phases = [json.loads(payload)["phase"] for _, payload in owner.messages]
        assert {"start", "end"} <= set(phases)
        # No receipt has come: a device that was told to expect receipts keeps what it said.
        assert parties.status("porch")["outbox"]["oldest_seq"] == 1
        time.sleep(0.5)
        heard = [payload for _, payload in curious.messages]
        asked = [payload for payload in heard if payload.startswith(b'{"envelope"')]
        assert len(asked) == 1
        assert all(payload in asked or payload.startswith(b"localhost/latchstring\n") for payload in heard)
