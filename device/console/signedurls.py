"""Addresses of pictures and files: what they show, until when, and a MAC over both. Pure.

    /media/<base64url of canonical JSON {"show": {...}, "until_us": n}>.<base64url of HMAC-SHA256>

A media element can't send the session's token, so the address itself is the right to what it shows. It holds for
ten minutes (a filmstrip's small pictures: an hour), and its key lives no longer than the process that unlocked: after
a lock none of them opens anything.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from broker.wire.encoding import WireError, canonical, parse_canonical

PREFIX = "/media/"
MAX_ADDRESS = 2_000
LIFE_US = 10 * 60 * 1_000_000


class AddressError(Exception):
    """An address is not one of ours, or too old; the message is one line for a person."""


class SignedAddresses:
    """Makes addresses and reads them again, under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, show: Mapping[str, Any], now_us: int, *, life_us: int = LIFE_US) -> str:
        """Return the path that shows something."""
        told = _text(canonical({"show": dict(show), "until_us": now_us + life_us}))
        return f"{PREFIX}{told}.{_text(self._mac(told))}"

    def read(self, path: str, now_us: int) -> dict[str, Any]:
        """Return what a path shows; raises AddressError."""
        told, _, mac = path.removeprefix(PREFIX).partition(".")
        if not path.startswith(PREFIX) or len(path) > MAX_ADDRESS or not path.isascii():
            raise AddressError("there is nothing at this address")
        if not hmac.compare_digest(_text(self._mac(told)), mac):
            raise AddressError("this address was not made by this console, or it has been locked since")
        try:
            body = parse_canonical(base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)), max_bytes=MAX_ADDRESS)
        except (ValueError, WireError) as error:  # it has our MAC: we would have made it wrong
            raise AddressError("this address can't be read") from error
        if body["until_us"] <= now_us:
            raise AddressError("this address is too old; open it from the page again")
        found: dict[str, Any] = body["show"]
        return found

    def _mac(self, told: str) -> bytes:
        return hmac.digest(self._key, told.encode(), hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
