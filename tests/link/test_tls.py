"""TLS: the broker is checked by the pinned authority, the device shows its certificate; nothing else connects."""

import contextlib
import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.mqtt import AccessPolicy, Broker, Limits, Role, User
from device.link.client import Connection
from device.link.errors import BrokerLost
from device.link.session import MqttLink
from device.link.settings import BrokerAddress, BrokerTls
from device.vault.state import State
from tests.link.session_support import publishing
from tests.link.support import PROMPT, eventually, in_background, open_outbox, say


@dataclass
class Authority:
    """A certificate authority that issues to a folder."""

    folder: Path
    name: str

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(self.name, self.key.public_key(), authority=True)
        self.path = self._write("ca.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return the files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate = self._sign(name, key.public_key()).public_bytes(serialization.Encoding.PEM)
        return self._write(f"{name}.pem", certificate), self._write(f"{name}.key", private)

    def _sign(self, name: str, key: ec.EllipticCurvePublicKey, *, authority: bool = False) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        day = dt.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
            builder = builder.add_extension(addresses, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The operator's authority."""
    return Authority(tmp_path / "ca", "operator")


def broker_with(authority: Authority) -> Broker:
    """Return a broker that takes clients by their certificates alone."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*authority.issue("broker"))
    policy = AccessPolicy(users=(User("porch", Role.DEVICE),))
    return Broker(policy=policy, port=0, tls=context, limits=Limits(close_linger_s=0.1))


def address(port: int, tls: BrokerTls) -> BrokerAddress:
    """Return the broker's address for the device."""
    return BrokerAddress(host="127.0.0.1", port=port, client_id="porch", tls=tls)


def open_sockets() -> int:
    """Return how many sockets this process has."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += entry.readlink().name.startswith("socket:")
    return found


async def test_a_device_is_known_by_its_certificate(authority: Authority, state: State) -> None:
    """Mutual TLS without any password: events go out."""
    certificate, key = authority.issue("porch")
    outbox = open_outbox(state)
    say(outbox, state, 30)
    async with broker_with(authority) as broker:
        tls = BrokerTls(ca=authority.path, certificate=certificate, key=key)
        link = MqttLink(address(broker.port, tls), subscriptions=(), publishing=publishing(outbox), timing=PROMPT)
        async with in_background(link.run()):
            await eventually(lambda: outbox.stats().messages == 0)
        assert link.health.connections == 1


async def test_a_broker_of_another_authority_is_not_spoken_to(authority: Authority, tmp_path: Path) -> None:
    """Its certificate does not verify: one line says so, and nothing of ours was sent."""
    other = Authority(tmp_path / "other", "stranger")
    async with broker_with(authority) as broker:
        connection = Connection(address(broker.port, BrokerTls(ca=other.path)), will=None, timing=PROMPT)
        before = open_sockets()
        with pytest.raises(BrokerLost, match="certificate verify failed") as caught:
            async with connection:
                pytest.fail("there is no connection")
        # The error is held, and with it all that it points to: the socket was closed, not just forgotten.
        await eventually(lambda: caught is not None and open_sockets() == before, within_s=2)


async def test_a_device_without_a_certificate_is_turned_away(authority: Authority) -> None:
    """The handshake, or the first answer, fails."""
    async with broker_with(authority) as broker:
        with pytest.raises(BrokerLost):
            async with Connection(address(broker.port, BrokerTls(ca=authority.path)), will=None, timing=PROMPT):
                pytest.fail("there is no connection")


async def test_files_that_are_missing_are_a_line_in_the_health(tmp_path: Path) -> None:
    """The link goes on trying, for the owner may yet put them there."""
    tls = BrokerTls(ca=tmp_path / "nowhere.pem")
    link = MqttLink(address(1, tls), subscriptions=(), publishing=None, timing=PROMPT)
    async with in_background(link.run()):
        await eventually(lambda: link.health.failures > 1)
    assert "TLS files" in (link.health.last_error or "")


def test_a_certificate_without_its_key_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    """They come together or not at all."""
    with pytest.raises(ValueError, match="together"):
        BrokerTls(certificate=tmp_path / "a.pem")


def test_addresses_that_can_not_be_are_refused() -> None:
    """Each with its own line."""
    for fields, line in (
        ({"host": ""}, "host"),
        ({"port": 0}, "port"),
        ({"port": 70_000}, "port"),
        ({"keepalive_s": 0}, "keepalive"),
        ({"client_id": ""}, "client id"),
        ({"password": "x"}, "user name"),
    ):
        with pytest.raises(ValueError, match=line):
            BrokerAddress(**{"host": "h", "client_id": "c", **fields})  # type: ignore[arg-type] # wrong on purpose
