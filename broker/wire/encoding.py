"""Strict text encodings: JSON, base64, hex, decimal integers and UTC times.

Everything that is signed or hashed passes through here. The rule of the module: text that decodes
also re-encodes to the same bytes, so that no value has two spellings. No I/O, no clock.
"""

import base64
import binascii
import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
MAX_DEPTH = 16
MAX_DECIMAL_DIGITS = 19


class WireError(ValueError):
    """Something received does not keep the wire contract; the message says what and where."""


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 form of a JSON value; raises WireError for what JSON can't carry exactly."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:  # a surrogate in a key: UnicodeError
        raise WireError(f"cannot be written as canonical JSON: {error}") from error


def parse_json(data: bytes, *, max_bytes: int, what: str = "JSON") -> Any:
    """Parse UTF-8 JSON of at most `max_bytes`; duplicate keys, non-finite numbers and deep nesting are refused."""
    if len(data) > max_bytes:
        raise WireError(f"{what} has {len(data)} bytes, more than the {max_bytes} allowed")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_pairs,
            parse_constant=_no_constant,
            parse_float=_finite_float,
        )
    except UnicodeDecodeError as error:
        raise WireError(f"{what} is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise WireError(f"{what} does not parse: {error.msg} at character {error.pos}") from error
    except WireError:
        raise
    except ValueError as error:
        raise WireError(f"{what} does not parse: {error}") from error
    except RecursionError as error:  # brackets by the thousand: the scanner counts them, and gives up before the stack
        raise WireError(f"{what} is nested deeper than {MAX_DEPTH}") from error
    _check_depth(value, what)
    if b"\\u" in data:
        _check_surrogates(value, what)
    return value


def parse_canonical(data: bytes, *, max_bytes: int, what: str = "payload") -> Any:
    """Parse JSON that must already be in RFC 8785 form."""
    value = parse_json(data, max_bytes=max_bytes, what=what)
    if canonical(value) != data:
        raise WireError(f"{what} is not canonical JSON (RFC 8785)")
    return value


def to_base64(data: bytes) -> str:
    """Return standard padded base64 (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, *, size: int | None = None, what: str = "value") -> bytes:
    """Decode canonical base64; `size` is the exact number of bytes expected."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise WireError(f"{what} is not base64") from error
    if to_base64(data) != text:
        raise WireError(f"{what} is not canonical base64")
    if size is not None and len(data) != size:
        raise WireError(f"{what} has {len(data)} bytes where {size} are expected")
    return data


def from_hex(text: str, *, size: int, what: str = "value") -> bytes:
    """Decode lower-case hex of exactly `size` bytes."""
    if len(text) != 2 * size or not re.fullmatch(r"[0-9a-f]*", text):
        raise WireError(f"{what} is not {2 * size} lower-case hex digits")
    return bytes.fromhex(text)


def parse_decimal(text: str, *, what: str = "number") -> int:
    """Parse an unsigned decimal below 2**63 without sign, spaces or leading zeros."""
    if len(text) > MAX_DECIMAL_DIGITS or not re.fullmatch(r"0|[1-9][0-9]*", text, re.ASCII) or int(text) >= 1 << 63:
        raise WireError(f"{what} {text[:24]!r} is not a canonical decimal")
    return int(text)


def format_time(at_us: int) -> str:
    """Return microseconds since the Unix epoch as RFC 3339 UTC with six decimals and `Z`; the years 1 to 9999."""
    try:
        moment = (EPOCH + timedelta(microseconds=at_us)).replace(tzinfo=None)
    except OverflowError as error:
        raise WireError(f"{at_us} microseconds are beyond the years that a time can be written for") from error
    return moment.isoformat(timespec="microseconds") + "Z"  # strftime does not pad a year before 1000


def parse_time(text: str, *, what: str = "time") -> int:
    """Parse what `format_time` writes, and nothing else, to microseconds since the Unix epoch."""
    if not TIME_FORM.fullmatch(text) or text[11:13] == "24":  # which newer Pythons take for the next midnight
        raise WireError(f"{what} {text[:40]!r} is not like 2026-05-04T03:02:01.000000Z")
    try:
        moment = datetime.fromisoformat(text)  # several times as quick as strptime; the form was checked above
    except ValueError as error:
        raise WireError(f"{what} {text!r} is no real date") from error
    return (moment - EPOCH) // timedelta(microseconds=1)


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise WireError(f"key {key[:40]!r} stands twice in one object")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise WireError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise WireError(f"{text[:24]} is too large for JSON")
    return number


def _check_surrogates(value: Any, what: str) -> None:
    """Raise WireError for half a surrogate pair, which escapes can spell and no UTF-8 can carry."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise WireError(f"{what} holds half a surrogate pair") from error


def _check_depth(value: Any, what: str) -> None:
    """Raise WireError for what is nested deeper than our other code, which recurses, is to be trusted with."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        if not inner:
            return
        level = [child for children in inner for child in children]
    raise WireError(f"{what} is nested deeper than {MAX_DEPTH}")
