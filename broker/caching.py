"""What a cache between has to know of an answer: its name or tag, whether the asker has it, how it is packed. Pure."""

import gzip
import hashlib

IMMUTABLE = "public, max-age=31536000, immutable"
FRESH = "no-store"
_LEVEL = 5
_TAG_DIGITS = 32
_NAME_DIGITS = 16


def hashed_name(name: str, data: bytes) -> str:
    """Return a file's name with its hash in it: under that name it never changes."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(data).hexdigest()[:_NAME_DIGITS]}.{suffix}"


def tag_of(data: bytes, *, encoding: str = "") -> str:
    """Return the strong entity tag of some content; each encoding of it has its own."""
    digest = hashlib.sha256(data).hexdigest()[:_TAG_DIGITS]
    return f'"{digest}-{encoding}"' if encoding else f'"{digest}"'


def has_it(if_none_match: str | None, tag: str) -> bool:
    """Tell whether an If-None-Match header names this tag."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in if_none_match.split(",")]


def takes_gzip(accept_encoding: str | None) -> bool:
    """Tell whether an Accept-Encoding header asks for gzip; who does not say so gets the content as it is."""
    for one in (accept_encoding or "").lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() in {"gzip", "*"}:
            return weight.replace(" ", "").rstrip("0").rstrip(".").rstrip("0") not in {"q=", "q"}
    return False


def compressed(data: bytes) -> bytes:
    """Return the same bytes for the same content each time, as its tag promises."""
    return gzip.compress(data, compresslevel=_LEVEL, mtime=0)
