"""Who may connect, publish and receive: one policy, enforced by the embedded broker and written out for Mosquitto.

Grants are lists of topic filters for each role. What no grant names is denied, topics that begin with `$` among it.
A subscription is granted when its filter could match anything that the client may receive; each message is checked
again when it is delivered.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from broker.mqtt.errors import PolicyError, Refused
from broker.mqtt.packets import BAD_CLIENT_ID, BAD_CREDENTIALS, NOT_AUTHORIZED
from broker.mqtt.passwords import DEFAULT_ITERATIONS, PasswordHash
from broker.mqtt.topics import matches, overlap, split
from broker.wire import topics


class Role(StrEnum):
    """What a client is to the neighbourhood; an agency is `PUBLIC` here, for it sees no more than anybody."""

    DEVICE = "device"
    OWNER = "owner"
    OPERATOR = "operator"
    PUBLIC = "public"
    OPEN = "open"  # may do all; only for AccessPolicy.open_loopback


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in.

    `password_hash` is Mosquitto's `$7$` text, or None where only a TLS client certificate of this name will do.
    """

    name: str
    role: Role
    password_hash: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not topics.NAME_FORM.fullmatch(self.name) or self.name in topics.RESERVED_NAMES:
            raise PolicyError(
                f"user name {self.name!r} is refused: it must match {topics.NAME_FORM.pattern} "
                f"and be neither of {', '.join(sorted(topics.RESERVED_NAMES))}"
            )
        if self.role is Role.OPEN:
            raise PolicyError(f"user {self.name!r} has the role 'open', which is for nobody by name")
        if self.password_hash is not None:
            PasswordHash.parse(self.password_hash)


@dataclass(frozen=True, slots=True)
class Grants:
    """Topic filters that one client may publish to and receive from."""

    publish: tuple[str, ...]
    receive: tuple[str, ...]
    _publish: tuple[tuple[str, ...], ...] = field(init=False, repr=False, compare=False)
    _receive: tuple[tuple[str, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_publish", tuple(map(split, self.publish)))
        object.__setattr__(self, "_receive", tuple(map(split, self.receive)))

    def may_publish(self, topic: str) -> bool:
        """Say whether a message from this client may go to `topic`."""
        levels = split(topic)
        return any(matches(grant, levels) for grant in self._publish)

    def may_receive(self, topic: str) -> bool:
        """Say whether this client may be given a message of `topic`."""
        levels = split(topic)
        return any(matches(grant, levels) for grant in self._receive)

    def may_subscribe(self, topic_filter: str) -> bool:
        """Say whether `topic_filter` could match anything that this client may receive."""
        levels = split(topic_filter)
        return any(overlap(grant, levels) for grant in self._receive)


_ANY_NAME: Final = "{name}"  # stands in a device's grants for its own
_ANNOUNCEMENTS: Final = (f"{topics.ROOT}/requests/#", topics.CHECKPOINT)

_BY_ROLE: Final[Mapping[Role, Grants]] = {
    Role.DEVICE: Grants(
        publish=(topics.device(_ANY_NAME, "#"), topics.discovery(_ANY_NAME)),
        receive=(
            topics.device(_ANY_NAME, "privacy/set"),
            topics.device(_ANY_NAME, "receipt"),
            *_ANNOUNCEMENTS,
            topics.HOME_ASSISTANT_STATUS,
        ),
    ),
    Role.OWNER: Grants(
        publish=(topics.device("+", "privacy/set"), topics.device("+", "receipt"), topics.HOME_ASSISTANT_STATUS),
        receive=(f"{topics.ROOT}/#", "homeassistant/#"),
    ),
    Role.OPERATOR: Grants(publish=_ANNOUNCEMENTS, receive=_ANNOUNCEMENTS),
    Role.PUBLIC: Grants(publish=(), receive=_ANNOUNCEMENTS),
    Role.OPEN: Grants(publish=("#",), receive=("#", "$SYS/#")),
}


def grants_for(role: Role, name: str) -> Grants:
    """Return what a client of this role and user name may do; only a device's grants depend on its name."""
    general = _BY_ROLE[role]
    if role is not Role.DEVICE:
        return general
    return Grants(
        *(tuple(text.replace(_ANY_NAME, name) for text in texts) for texts in (general.publish, general.receive))
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """A client that was let in; `name` is empty for an anonymous one."""

    name: str
    role: Role
    grants: Grants = field(repr=False)

    def check_client_id(self, client_id: str) -> None:
        """Raise Refused for a device whose client id is not its user name: client ids are not to be stolen."""
        if self.role is Role.DEVICE and client_id != self.name:
            raise Refused(BAD_CLIENT_ID, "a device's client id must be its user name")


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """All users, and the role of a client that gives no user name (None: it is refused)."""

    users: tuple[User, ...] = ()
    anonymous: Role | None = None
    _by_name: Mapping[str, User] = field(init=False, repr=False, compare=False)
    _decoy: PasswordHash = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {user.name: user for user in self.users}
        if len(by_name) != len(self.users):
            raise PolicyError("two users have one name")
        if self.anonymous not in (None, Role.PUBLIC, Role.OPEN):
            raise PolicyError(f"anonymous clients can't be {self.anonymous}: the role may be 'public', or none")
        if self.is_open and self.users:
            raise PolicyError("an open policy has no use for users")
        costs = [PasswordHash.parse(user.password_hash).iterations for user in self.users if user.password_hash]
        object.__setattr__(self, "_by_name", by_name)
        object.__setattr__(self, "_decoy", PasswordHash(max(costs, default=DEFAULT_ITERATIONS), b"decoy", bytes(64)))

    @classmethod
    def open_loopback(cls) -> "AccessPolicy":
        """Let anybody do everything, whatever user name they give: for simulation on one machine.

        The broker refuses it on any other address than loopback.
        """
        return cls(anonymous=Role.OPEN)

    @property
    def is_open(self) -> bool:
        """Whether anybody may do everything."""
        return self.anonymous is Role.OPEN

    def authenticate(
        self, *, username: str | None, password: bytes | None, certified_name: str | None = None
    ) -> Identity:
        """Return who the client is; raises Refused. Takes the time of one password hash when a user name is given.

        `certified_name` is the common name of a client certificate that TLS has verified; it goes before any user name.
        """
        if self.is_open or (username is None and certified_name is None and self.anonymous is not None):
            return _identity("", self.anonymous)
        if certified_name is not None:
            user = self._by_name.get(certified_name)
            if user is None:
                raise Refused(NOT_AUTHORIZED, "the client certificate names no user")
            return _identity(user.name, user.role)
        if username is None:
            raise Refused(NOT_AUTHORIZED, "no user name was given, and anonymous clients are not let in")
        user = self._by_name.get(username)
        # An unknown name costs as much time as a known one.
        hashed = PasswordHash.parse(user.password_hash) if user and user.password_hash else self._decoy
        if not hashed.fits(password or b"") or user is None:
            raise Refused(BAD_CREDENTIALS, "user name and password don't fit")
        return _identity(user.name, user.role)

    def identity_of(self, name: str) -> Identity | None:
        """Return who a client with this user name (empty: none) is by this policy, or None when it is not let in."""
        user = self._by_name.get(name)
        if user is not None:
            return _identity(user.name, user.role)
        return None if name or self.anonymous is None else _identity("", self.anonymous)


def is_loopback(host: str) -> bool:
    """Say whether `host` is this machine alone, the only place for an open policy."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _identity(name: str, role: Role | None) -> Identity:
    if role is None:
        raise Refused(NOT_AUTHORIZED, "anonymous clients are not let in")
    return Identity(name, role, grants_for(role, name))
