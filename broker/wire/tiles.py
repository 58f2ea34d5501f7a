"""C2SP tlog-tiles: where hashes and entries of a log stand in static files. Pure: paths and bytes, no reading.

    tile/<L>/<N>[.p/<W>]        up to 256 hashes of level 8*L
    tile/entries/<N>[.p/<W>]    up to 256 entries, each behind a big-endian uint16 length

<N> is written in groups of three digits, all but the last prefixed with `x`: 1234067 is x001/x234/067.
"""

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .encoding import WireError, parse_decimal
from .merkle import HASH_BYTES, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_ENTRY_BYTES = 65_535
MAX_ENTRIES_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)  # of an entry bundle
MAX_LEVEL = 63
_INDEX_FORM = re.compile(r"(?:x\d{3}/)*\d{3}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One tile: `level` 0 to 63 or "entries", `index` within the level, `width` 1 to 256 (256 is full)."""

    level: int | Literal["entries"]
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The tile's path below the log's prefix."""
        suffix = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{index_path(self.index)}{suffix}"

    @property
    def hash_bytes(self) -> int:
        """How long a hash tile of this width is."""
        return self.width * HASH_BYTES


def index_path(index: int) -> str:
    """Return `<N>` as path elements of three digits."""
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:  # noqa: PLR2004 - three digits a path element
        index //= 1000
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def parse_tile_path(path: str) -> Tile:
    """Parse a tile's path strictly; raises WireError for anything that `Tile.path` would not write."""
    parts = path.split("/", 2)
    if len(parts) != 3 or parts[0] != "tile":  # noqa: PLR2004 - tile, level, index
        raise WireError(f"{path[:80]!r} is no tile path")
    level: int | Literal["entries"] = "entries" if parts[1] == "entries" else parse_decimal(parts[1], what="tile level")
    number, partial, width = parts[2].partition(".p/")
    if not _INDEX_FORM.fullmatch(number) or len(number) > 40:  # noqa: PLR2004 - beyond 63 bits anyway
        raise WireError(f"{path[:80]!r} is no tile path")
    index = int(number.replace("/", "").replace("x", ""))
    tile = Tile(level, index, parse_decimal(width, what="tile width") if partial else TILE_WIDTH)
    in_range = level == "entries" or level <= MAX_LEVEL
    if not in_range or tile.path != path or not 1 <= tile.width <= TILE_WIDTH:
        raise WireError(f"{path[:80]!r} is no tile path")
    return tile


def tile_for_hash(level: int, index: int, size: int) -> tuple[Tile, int, int]:
    """Return (tile, first, count) from which the hash of the complete subtree (level, index) is folded.

    The tile is as wide as it is in a log of `size` entries; `first` and `count` say which of its hashes to fold.
    """
    tile_level, height = divmod(level, TILE_HEIGHT)
    first = index << height
    tile_index = first // TILE_WIDTH
    available = (size >> (TILE_HEIGHT * tile_level)) - tile_index * TILE_WIDTH
    width = min(TILE_WIDTH, available)
    offset, count = first % TILE_WIDTH, 1 << height
    if width < offset + count:
        raise WireError(f"subtree ({level}, {index}) is not complete in a log of {size}")
    return Tile(tile_level, tile_index, width), offset, count


def fold(tile_data: bytes, first: int, count: int) -> bytes:
    """Return the root over `count` (a power of two) hashes of a tile, from hash `first` on."""
    hashes = [tile_data[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in range(first, first + count)]
    if any(len(one) != HASH_BYTES for one in hashes):
        raise WireError("a tile is shorter than its width")
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """Return an entry bundle."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise WireError(f"an entry has {len(entry)} bytes, more than the {MAX_ENTRY_BYTES} a bundle can hold")
        parts.append(struct.pack(">H", len(entry)))
        parts.append(entry)
    return b"".join(parts)


def decode_entries(data: bytes, *, width: int) -> list[bytes]:
    """Return the entries of a bundle, which must be exactly `width`."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        if len(entries) == width:  # before more are taken apart: empty ones come by the million
            raise WireError(f"an entry bundle holds more than the {width} entries that are expected")
        if at + 2 > len(data):
            raise WireError("an entry bundle ends within a length")
        (length,) = struct.unpack_from(">H", data, at)
        at += 2
        if at + length > len(data):
            raise WireError("an entry bundle ends within an entry")
        entries.append(data[at : at + length])
        at += length
    if len(entries) != width:
        raise WireError(f"an entry bundle holds {len(entries)} entries where {width} are expected")
    return entries
