"""Where announcements go: to the embedded broker, or to one elsewhere. Passwords and certificates are read here."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker import mqtt
from broker.files import MAX_TEXT_BYTES, read_bytes, read_text
from broker.keyfiles import read_secret
from broker.log.announcer import Publish
from broker.publisher import MqttPublisher
from broker.settings import MqttSection, SettingsError


@dataclass(frozen=True, slots=True)
class Outlet:
    """`publish` sends, at `port` somebody listens; `run(on_reconnected)` is to be a task for as long as it is used."""

    publish: Publish
    port: int
    run: Callable[[Callable[[], None]], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def open_outlet(section: MqttSection, *, max_connections: int) -> AsyncIterator[Outlet]:
    """Give the outlet that the settings name; an embedded broker takes `max_connections` at the most.

    Raises SettingsError, PolicyError, BrokerError or KeyFileError.
    """
    if not section.embedded:
        client = MqttPublisher(
            host=section.host,
            port=section.port,
            username=section.username,
            password=None if section.password_file is None else _password(section.password_file),
            tls=_tls(section, ssl.Purpose.SERVER_AUTH) if section.tls else None,
        )
        yield Outlet(client.publish, section.port, client.run)
        return
    policy = mqtt.AccessPolicy.open_loopback()
    if section.access_file is not None:
        policy = mqtt.policy_from_toml(read_text(section.access_file, error=SettingsError))
    if section.tls and (section.certificate_file is None or section.key_file is None):
        raise SettingsError("mqtt: tls needs certificate_file and key_file")
    tls = _tls(section, ssl.Purpose.CLIENT_AUTH) if section.tls else None
    limits = mqtt.Limits(max_connections=min(max_connections, mqtt.Limits().max_connections))
    async with mqtt.Broker(policy=policy, host=section.host, port=section.port, tls=tls, limits=limits) as broker:

        async def publish(topic: str, payload: bytes, *, retain: bool) -> None:
            broker.publish(topic, payload, qos=1, retain=retain)

        yield Outlet(publish, broker.port, _never_away)


async def _never_away(_on_reconnected: Callable[[], None]) -> None:
    """Return at once: the embedded broker lives as long as this process."""


def _password(path: Path) -> str:
    try:
        return read_secret(path).decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start})") from error


def _tls(section: MqttSection, purpose: ssl.Purpose) -> ssl.SSLContext:
    """Return a context for a server (CLIENT_AUTH), which asks for certificates if it has a CA, or for a client."""
    files = [path for path in (section.ca_file, section.certificate_file, section.key_file) if path is not None]
    for path in files:
        read_bytes(path, max_bytes=MAX_TEXT_BYTES, error=SettingsError)  # ssl does not say which one is missing
    try:
        context = ssl.create_default_context(purpose, cafile=section.ca_file)
        if section.certificate_file is not None:
            context.load_cert_chain(section.certificate_file, section.key_file)
    except OSError as error:  # ssl.SSLError among them
        raise SettingsError(f"mqtt: no TLS with {', '.join(map(str, files))}: {error}") from error
    if purpose is ssl.Purpose.CLIENT_AUTH and section.ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
