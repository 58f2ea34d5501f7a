"""The files written for Mosquitto: their rights, their text, and that one store of passwords serves both brokers."""

import stat
import subprocess
from pathlib import Path

import pytest

from broker.mqtt import AccessPolicy, PolicyError, Role, User, hash_password, write_mosquitto
from tests.conftest import need
from tests.mqtt.conftest import JoinAt
from tests.mqtt.support import mosquitto, running, user


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Also when a file with wider rights stood there before."""
    (tmp_path / "passwd").write_text("old")
    (tmp_path / "passwd").chmod(0o644)
    config = write_mosquitto(AccessPolicy(users=(user("cam", Role.DEVICE),)), tmp_path)
    assert config == tmp_path / "mosquitto.conf"
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {
        "acl": 0o600,
        "mosquitto.conf": 0o600,
        "passwd": 0o600,
    }
    assert "old" not in (tmp_path / "passwd").read_text()


def test_the_acl_names_every_topic(tmp_path: Path) -> None:
    """Each user's grants are spelled out, without patterns."""
    write_mosquitto(AccessPolicy(users=(User("cam", Role.DEVICE), User("town", Role.PUBLIC))), tmp_path)
    assert (tmp_path / "acl").read_text() == (
        "user cam\n"
        "topic write latchstring/cam/#\n"
        "topic write homeassistant/device/latchstring_cam/config\n"
        "topic read latchstring/cam/privacy/set\n"
        "topic read latchstring/cam/receipt\n"
        "topic read latchstring/requests/#\n"
        "topic read latchstring/log/checkpoint\n"
        "topic read homeassistant/status\n"
        "\n"
        "user town\n"
        "topic read latchstring/requests/#\n"
        "topic read latchstring/log/checkpoint\n"
    )
    assert (tmp_path / "passwd").read_text() == ""


def test_what_mosquitto_can_not_keep_is_refused(tmp_path: Path) -> None:
    """Anonymous clients beside users could take their client ids, so such a policy is not written."""
    policy = AccessPolicy(users=(user("cam", Role.DEVICE),), anonymous=Role.PUBLIC)
    with pytest.raises(PolicyError, match="client id"):
        write_mosquitto(policy, tmp_path)
    with pytest.raises(PolicyError, match="open"):
        write_mosquitto(AccessPolicy.open_loopback(), tmp_path, host="0.0.0.0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.mosquitto
async def test_anonymous_readers_alone_are_served_by_mosquitto(tmp_path: Path, join_at: JoinAt) -> None:
    """A policy without users but with public readers lets nobody publish."""
    async with mosquitto(folder=tmp_path, policy=AccessPolicy(anonymous=Role.PUBLIC)) as port:
        reader = await join_at(port, "reader")
        await reader.subscribe("#")
        await reader.publish("latchstring/requests/1/2")
        assert await reader.settled() == []


@pytest.mark.mosquitto
async def test_mosquittos_own_tool_makes_hashes_for_the_policy(tmp_path: Path, join_at: JoinAt) -> None:
    """A hash by mosquitto_passwd and one of ours let their users into Mosquitto and into our broker."""
    hashed = _hash_by_mosquitto(tmp_path / "made", "me", "good")
    policy = AccessPolicy(users=(User("me", Role.OWNER, hashed), User("you", Role.OWNER, hash_password(b"strong"))))
    for broker in ("ours", "mosquitto"):
        async with running(broker, folder=tmp_path / "files", policy=policy) as port:
            await join_at(port, "me", username="me", password=b"good")
            await join_at(port, "you", username="you", password=b"strong")
            await join_at(port, "you", username="you", password=b"good", expect=4 if broker == "ours" else 5)


def _hash_by_mosquitto(path: Path, name: str, secret: str) -> str:
    subprocess.run([need("mosquitto_passwd"), "-c", "-b", str(path), name, secret], check=True)
    return path.read_text().strip().partition(":")[2]
