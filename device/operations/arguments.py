"""How an operation's arguments are taken: exactly those it has, each of exactly its type. Raises WireError."""

from collections.abc import Mapping
from typing import Any

from broker.wire.encoding import WireError

MOST_US = 1 << 53  # what a JSON number holds exactly: the year 2255


def take(arguments: Mapping[str, Any], body: bytes, **kinds: type) -> tuple[Any, ...]:
    """Return the values of an operation that takes no bytes, in the order of `kinds`."""
    if body:
        raise WireError("the operation takes no bytes")
    if arguments.keys() != kinds.keys() or any(type(arguments[name]) is not kind for name, kind in kinds.items()):
        wanted = ", ".join(f"{name} ({kind.__name__})" for name, kind in kinds.items())
        raise WireError(f"the operation takes {wanted or 'no arguments'}")
    return tuple(arguments[name] for name in kinds)


def take_range(arguments: Mapping[str, Any], body: bytes) -> tuple[int, int]:
    """Return [from, until) in microseconds since the epoch."""
    from_us, until_us = take(arguments, body, from_us=int, until_us=int)
    if not 0 <= from_us < until_us < MOST_US:
        raise WireError("from_us must lie before until_us, both in microseconds since 1970")
    return from_us, until_us
