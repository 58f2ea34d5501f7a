"""The access policy as TOML text: `anonymous`, and one table for each user."""

import tomllib
from typing import Any, Final

from broker.mqtt.access import AccessPolicy, Role, User
from broker.mqtt.errors import PolicyError

_USER_KEYS: Final = frozenset({"role", "password_hash"})
_ROLES: Final = tuple(role.value for role in Role if role is not Role.OPEN)


def policy_from_toml(text: str) -> AccessPolicy:
    """Read a policy; raises PolicyError with one line that names the key at fault.

    ```toml
    anonymous = "public"        # left out: clients without a user name are refused

    [users.front-door]
    role = "device"             # device, owner, operator or public
    password_hash = "$7$..."    # left out: a TLS client certificate only
    ```
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"the access policy is not TOML: {error}") from None
    _refuse_unknown(document, frozenset({"anonymous", "users"}), where="")
    users = document.get("users", {})
    if not isinstance(users, dict):
        raise PolicyError("'users' must be tables, such as [users.front-door]")
    anonymous = None
    if "anonymous" in document:
        if document["anonymous"] != Role.PUBLIC.value:
            raise PolicyError(f"'anonymous' is {document['anonymous']!r}; it may be 'public' or be left out")
        anonymous = Role.PUBLIC
    return AccessPolicy(users=tuple(_user(name, table) for name, table in users.items()), anonymous=anonymous)


def _user(name: str, table: Any) -> User:
    if not isinstance(table, dict):
        raise PolicyError(f"'users.{name}' must be a table")
    _refuse_unknown(table, _USER_KEYS, where=f"users.{name}.")
    role = table.get("role")
    if role not in _ROLES:
        raise PolicyError(f"'users.{name}.role' is {role!r}; it must be one of {', '.join(_ROLES)}")
    hashed = table.get("password_hash")
    if hashed is not None and not isinstance(hashed, str):
        raise PolicyError(f"'users.{name}.password_hash' must be text")
    try:
        return User(name, Role(role), hashed)
    except PolicyError as error:
        raise PolicyError(f"'users.{name}': {error}") from None


def _refuse_unknown(table: dict[str, Any], known: frozenset[str], *, where: str) -> None:
    for key in table:
        if key not in known:
            raise PolicyError(f"unknown key '{where}{key}'; known here: {', '.join(sorted(known))}")
