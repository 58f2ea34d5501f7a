"""The access policy: its table, role by topic, and the same outcomes on our broker and on Mosquitto."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from broker.mqtt import AccessPolicy, PolicyError, Role, User, hash_password, policy_from_toml
from broker.mqtt.access import grants_for
from broker.mqtt.errors import Refused
from broker.mqtt.packets import ConnAck, Connect, PubAck, Publish, SubAck, Subscribe
from broker.mqtt.passwords import PasswordHash
from tests.mqtt.client import RawClient
from tests.mqtt.conftest import JoinAt, Sockets
from tests.mqtt.support import password, running, user

# Topic: who may publish it, and who may receive it. `cam` and `bell` are devices.
TABLE: dict[str, tuple[set[str], set[str]]] = {
    "latchstring/cam/event": ({"cam"}, {"owner"}),
    "latchstring/cam/availability": ({"cam"}, {"owner"}),
    "latchstring/cam/privacy": ({"cam"}, {"owner"}),
    "latchstring/cam/privacy/set": ({"cam", "owner"}, {"cam", "owner"}),
    "latchstring/cam/receipt": ({"cam", "owner"}, {"cam", "owner"}),
    "latchstring/cam": ({"cam"}, {"owner"}),
    "latchstring/bell/event": ({"bell"}, {"owner"}),
    "latchstring/bell/receipt": ({"bell", "owner"}, {"bell", "owner"}),
    "latchstring/cam2/event": (set(), {"owner"}),
    "latchstring/requests/8428/abc": ({"operator"}, {"cam", "bell", "owner", "operator", "agency"}),
    "latchstring/log/checkpoint": ({"operator"}, {"cam", "bell", "owner", "operator", "agency"}),
    "latchstring/log/other": (set(), {"owner"}),
    "homeassistant/device/latchstring_cam/config": ({"cam"}, {"owner"}),
    "homeassistant/device/latchstring_bell/config": ({"bell"}, {"owner"}),
    "homeassistant/status": ({"owner"}, {"cam", "bell", "owner"}),
    "homeassistant/light/kitchen/set": (set(), {"owner"}),
    "elsewhere": (set(), set()),
}
ROLES = {"cam": Role.DEVICE, "bell": Role.DEVICE, "owner": Role.OWNER, "operator": Role.OPERATOR, "agency": Role.PUBLIC}
POLICY = AccessPolicy(users=tuple(user(name, role) for name, role in ROLES.items()))

CAM_EVENT = "latchstring/cam/event"
REQUEST = "latchstring/requests/8428/abc"


@pytest_asyncio.fixture
async def guarded(kind: str, tmp_path: Path) -> AsyncIterator[int]:
    """Port of a broker under POLICY."""
    async with running(kind, folder=tmp_path / "broker", policy=POLICY) as port:
        yield port


async def enter(join_at: JoinAt, port: int, name: str, *, clean_session: bool = True) -> RawClient:
    """Log a user in under its own client id."""
    return await join_at(port, name, clean_session=clean_session, username=name, password=password(name))


@pytest.mark.parametrize("name", ROLES)
def test_grants_are_the_table(name: str) -> None:
    """Each role may publish and receive just what the table says, `$` topics never."""
    grants = grants_for(ROLES[name], name)
    assert {topic for topic in TABLE if grants.may_publish(topic)} == {
        t for t, (pub, _) in TABLE.items() if name in pub
    }
    assert {topic for topic in TABLE if grants.may_receive(topic)} == {
        t for t, (_, sub) in TABLE.items() if name in sub
    }
    assert not grants.may_publish("$SYS/broker/version")
    assert not grants.may_receive("$SYS/broker/version")


async def test_the_whole_table_holds_on_the_wire(join_at: JoinAt, guarded: int) -> None:
    """Everybody subscribes to everything and publishes everywhere: each gets exactly what the table lets through."""
    clients = {name: await enter(join_at, guarded, name) for name in ROLES}
    for client in clients.values():
        await client.subscribe("#")
    received: dict[str, set[tuple[str, bytes]]] = {name: set() for name in ROLES}
    for name, client in clients.items():
        for topic in TABLE:
            await client.publish(topic, name.encode())
        for reader, reading in clients.items():
            received[reader] |= {(message.topic, message.payload) for message in await reading.settled()}
    assert received == {
        name: {
            (topic, writer.encode())
            for topic, (writers, readers) in TABLE.items()
            if name in readers
            for writer in writers
        }
        for name in ROLES
    }


@pytest.mark.parametrize(
    "text", ["#", "latchstring/#", "latchstring/+/event", "+/cam/event", CAM_EVENT, "latchstring/cam/#"]
)
async def test_the_public_reads_no_event_by_any_filter(text: str, join_at: JoinAt, guarded: int) -> None:
    """No wildcard gives an agency a device's event, live or retained."""
    device, agency = await enter(join_at, guarded, "cam"), await enter(join_at, guarded, "agency")
    await device.publish(CAM_EVENT, b"before", retain=True)
    await agency.subscribe(text)
    await device.publish(CAM_EVENT, b"after", retain=True)
    assert await agency.settled() == []


async def test_a_device_writes_below_its_own_name_only(join_at: JoinAt, guarded: int) -> None:
    """What a device publishes in another's name, or as a request or checkpoint, is acknowledged and goes nowhere."""
    bell, owner, cam = [await enter(join_at, guarded, name) for name in ("bell", "owner", "cam")]
    await owner.subscribe("#")
    await cam.subscribe("latchstring/requests/#", "latchstring/log/checkpoint", "latchstring/cam/privacy/set")
    for topic in (
        CAM_EVENT,
        "latchstring/cam/privacy/set",
        REQUEST,
        "latchstring/log/checkpoint",
        "latchstring/bell2/x",
    ):
        await bell.publish(topic, b"forged", retain=True)
    assert await owner.settled() == []
    assert await cam.settled() == []
    late = await enter(join_at, guarded, "agency")
    await late.subscribe("#")
    assert await late.settled() == []


async def test_a_stolen_client_id_takes_nothing_over(join_at: JoinAt, guarded: int, kind: str) -> None:
    """Another user under a device's client id ends neither its connection nor gets what waits for it."""
    victim = await enter(join_at, guarded, "cam", clean_session=False)
    await victim.subscribe("latchstring/cam/receipt", REQUEST)
    for thief_name in ("agency", "owner"):
        thief = await join_at(guarded, "cam", clean_session=False, username=thief_name, password=password(thief_name))
        assert not thief.session_present
        assert await victim.settled() == []
        await thief.disconnect()
    if kind == "ours":  # Mosquitto renames such a client instead
        await join_at(guarded, "cam", username="bell", password=password("bell"), expect=2)
    await victim.disconnect()
    await (await enter(join_at, guarded, "owner")).publish("latchstring/cam/receipt", b"mine")
    thief = await join_at(guarded, "cam", clean_session=False, username="agency", password=password("agency"))
    assert await thief.settled() == []
    back = await enter(join_at, guarded, "cam", clean_session=False)
    assert [message.payload for message in await back.messages(1)] == [b"mine"]


@pytest.mark.parametrize(
    ("username", "secret"),
    [(None, None), ("cam", None), ("cam", b"wrong"), ("nobody", b"cam-secret"), ("cam", b""), ("owner", b"cam-secret")],
)
async def test_who_can_not_say_who_they_are_is_refused(
    username: str | None, secret: bytes | None, guarded: int, sockets: Sockets
) -> None:
    """No name, an unknown one or a wrong password: a CONNACK that refuses, and the end."""
    client = await sockets(guarded)
    assert await client.connect(Connect("cam", username=username, password=secret)) in (4, 5)
    await client.closed()


async def test_packets_sent_behind_connect_wait_for_the_password(sockets: Sockets, guarded: int) -> None:
    """A client need not wait for its CONNACK (section 3.1.4): what it sends at once is served after it, in order."""
    client = await sockets(guarded)
    await client.send(
        Connect("owner", username="owner", password=password("owner")),
        Subscribe(1, (("latchstring/#", 1),)),
        Publish("latchstring/cam/receipt", b"x", 1, packet_id=2),
    )
    kinds = [type(await client.receive()) for _ in range(4)]
    assert kinds[:2] == [ConnAck, SubAck]
    assert set(kinds[2:]) == {Publish, PubAck}


async def test_a_subscription_that_can_match_nothing_granted_gets_0x80(join_at: JoinAt, tmp_path: Path) -> None:
    """Ours says so at once; a filter that could match something granted is taken, and filtered on delivery."""
    async with running("ours", folder=tmp_path, policy=POLICY) as port:
        agency = await enter(join_at, port, "agency")
        codes = await agency.subscribe(CAM_EVENT, "latchstring/cam/#", "#", "latchstring/log/+", "$SYS/#")
        assert codes == (0x80, 0x80, 1, 1, 0x80)


@pytest.mark.parametrize(
    "name", ["requests", "log", "", "Cam", "-cam", "a" * 64, "cam/x", "cam+", "#", "cam\n", "latchstring_cam", "é"]
)
def test_names_that_would_break_topics_or_files_are_refused(name: str) -> None:
    """A user name is a topic level and a line in Mosquitto's files."""
    with pytest.raises(PolicyError):
        User(name, Role.DEVICE)


def test_policies_that_make_no_sense_are_refused() -> None:
    """Two users of one name, roles that nobody can have, and hashes that can't be checked."""
    with pytest.raises(PolicyError, match="two users"):
        AccessPolicy(users=(User("a", Role.OWNER), User("a", Role.DEVICE)))
    with pytest.raises(PolicyError, match="anonymous"):
        AccessPolicy(anonymous=Role.DEVICE)
    with pytest.raises(PolicyError, match="no use for users"):
        AccessPolicy(users=(User("a", Role.OWNER),), anonymous=Role.OPEN)
    with pytest.raises(PolicyError, match="'open'"):
        User("a", Role.OPEN)
    with pytest.raises(PolicyError, match="form"):
        User("a", Role.OWNER, "plain")


def test_a_user_without_a_password_needs_a_certificate() -> None:
    """No password lets such a user in, an empty one least of all; the certificate's name does."""
    policy = AccessPolicy(users=(User("cam", Role.DEVICE),))
    for secret in (None, b"", b"x"):
        with pytest.raises(Refused):
            policy.authenticate(username="cam", password=secret)
    assert policy.authenticate(username="other", password=None, certified_name="cam").name == "cam"
    with pytest.raises(Refused):
        policy.authenticate(username="cam", password=None, certified_name="stranger")


def test_anonymous_readers_are_public() -> None:
    """A policy may let clients without a name read what the public reads; a wrong name is still refused."""
    policy = AccessPolicy(users=(user("cam", Role.DEVICE),), anonymous=Role.PUBLIC)
    assert policy.authenticate(username=None, password=None).role is Role.PUBLIC
    with pytest.raises(Refused):
        policy.authenticate(username="stranger", password=None)


def test_password_hashes_are_mosquittos() -> None:
    """A hash that Debian's mosquitto_passwd made is read, fits its password alone, and is made again from its salt."""
    digest = "9sibsX+1wQtJzd3Y8YH9sXtg8SKTZsWOnaTZRv/BxUg+Ex4IGOyKkH4GJl9FwRfd3MVXQwC7BVuk5OuOl9lY+w=="
    text = f"$7$101$kuvNJww2FGJNseSu${digest}"
    parsed = PasswordHash.parse(text)
    assert str(parsed) == text
    assert parsed.fits(b"secret")
    assert not parsed.fits(b"Secret")
    assert hash_password(b"secret", iterations=101, salt=parsed.salt) == text
    assert hash_password(b"secret") != hash_password(b"secret")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$6$salt$hash",
        "$7$0$c2FsdA==$aGFzaA==",
        "$7$101$c2FsdA==$aGFzaA==",
        "$7$101$!$!",
        "$7$99999999$YQ==$" + "A" * 86 + "==",
    ],
)
def test_other_hashes_are_refused(text: str) -> None:
    """Old forms, wrong lengths, absurd costs and sloppy base64 raise a PolicyError."""
    with pytest.raises(PolicyError):
        PasswordHash.parse(text)


def test_a_policy_is_read_from_toml() -> None:
    """The text form gives the same value as the constructor."""
    hashed = hash_password(b"x", iterations=101)
    text = (
        f'anonymous = "public"\n[users.cam]\nrole = "device"\npassword_hash = "{hashed}"\n[users.me]\nrole = "owner"\n'
    )
    expected = AccessPolicy(users=(User("cam", Role.DEVICE, hashed), User("me", Role.OWNER)), anonymous=Role.PUBLIC)
    assert policy_from_toml(text) == expected
    assert policy_from_toml("") == AccessPolicy()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("anonymus = 'public'", "anonymus"),
        ("anonymous = 'open'", "anonymous"),
        ("[users.cam]\nrole = 'device'\npasword_hash = 'x'", "users.cam.pasword_hash"),
        ("[users.cam]\nrole = 'open'", "users.cam.role"),
        ("[users.cam]", "users.cam.role"),
        ("[users.cam]\nrole = ['device']", "users.cam.role"),
        ("[users.log]\nrole = 'device'", "users.log"),
        ("[users.cam]\nrole = 'device'\npassword_hash = 7", "users.cam.password_hash"),
        ("[users.cam]\nrole = 'device'\npassword_hash = 'x'", "users.cam"),
        ("users = 3", "users"),
        ("[users]\ncam = 3", "users.cam"),
        ("not toml", "TOML"),
    ],
)
def test_a_policy_with_a_mistake_is_refused_in_one_line(text: str, named: str) -> None:
    """The error names the key at fault, in one line."""
    with pytest.raises(PolicyError) as refused:
        policy_from_toml(text)
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)
