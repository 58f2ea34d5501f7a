"""Logs with fixed keys to show to others, and the ways in which a signed note can be forged."""

import base64
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.log.growth import Edge, grow
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import leaf_hash, node_hash, root_hash
from broker.wire.notes import COSIGNATURE_V1, ED25519, Checkpoint, Note, VerifierKey, cosign_note, sign_note
from tests.wire.support import key_of

ORIGIN = "log.example.org/test"
LOG = key_of("log")
LOG_KEY = VerifierKey(ORIGIN, ED25519, public_bytes(LOG))
WITNESS = key_of("witness")
WITNESS_KEY = VerifierKey("witness.example.org/w", COSIGNATURE_V1, public_bytes(WITNESS))
MIRROR = key_of("mirror")
MIRROR_KEY = VerifierKey("mirror.example.org/m", COSIGNATURE_V1, public_bytes(MIRROR))
AT_S = 1_777_777_777


def need_module(name: str) -> Any:
    """Import a peer that pip installed, or skip the test; in CI a missing one is a failure."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed, and CI must run this test")
        pytest.skip(f"{name} is not installed")


def seed_of(name: str) -> bytes:
    return key_of(name).private_bytes_raw()


def entries_of(size: int) -> list[bytes]:
    """Entries of all lengths, the empty one and the longest included."""
    return [b"" if n == 1 else bytes(65_535) if n == 2 else f"entry {n} ".encode() * (1 + n % 7) for n in range(size)]


class Leaves:
    """The complete subtrees over some entries, as a HashReader."""

    def __init__(self, entries: list[bytes]) -> None:
        self._known = {(0, index): leaf_hash(entry) for index, entry in enumerate(entries)}

    def __call__(self, level: int, index: int) -> bytes:
        if (level, index) not in self._known:
            self._known[level, index] = node_hash(self(level - 1, 2 * index), self(level - 1, 2 * index + 1))
        return self._known[level, index]


def checkpoint_of(entries: list[bytes]) -> Note:
    size = len(entries)
    return sign_note(Checkpoint(ORIGIN, size, root_hash(size, Leaves(entries))).text, ORIGIN, LOG)


def cosigned(note: Note, at_s: int = AT_S) -> Note:
    return cosign_note(cosign_note(note, WITNESS_KEY.name, WITNESS, at_s=at_s), MIRROR_KEY.name, MIRROR, at_s=at_s)


def write_log(folder: Path, sizes: list[int]) -> list[bytes]:
    """Let a log grow from size to size and lay out all the files that this writes; returns its entries."""
    entries = entries_of(sizes[-1])
    edge = Edge()
    for size in sizes:
        edge, tiles = grow(edge, entries[edge.size : size])
        for tile, data in tiles.items():
            path = folder / tile.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (folder / "checkpoint").write_text(str(cosigned(checkpoint_of(entries))))
    return entries


def _line(note: str, change: Callable[[str, bytes], tuple[str, bytes]]) -> str:
    """Change name and blob of the last signature line."""
    *before, last = note.rstrip("\n").split("\n")
    _, name, blob = last.split(" ")
    name, raw = change(name, base64.b64decode(blob))
    return "\n".join((*before, f"\u2014 {name} {base64.b64encode(raw).decode()}", ""))


def _flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def _text_line(note: str, at: int, line: str) -> str:
    lines = note.split("\n")
    lines[at] = line
    return "\n".join(lines)


# What the last signature of a checkpoint does not cover, or not in this form, by what was done to it.
FORGERIES: dict[str, Callable[[str], str]] = {
    "another origin": lambda note: _text_line(note, 0, ORIGIN + "2"),
    "another size": lambda note: _text_line(note, 1, str(int(note.split("\n")[1]) + 1)),
    "another root": lambda note: _text_line(note, 2, base64.b64encode(b"\7" * 32).decode()),
    "a line more": lambda note: note.replace("\n\n", "\nextension\n\n"),
    "a line less": lambda note: note.replace("\n", "", 1),
    "another name": lambda note: _line(note, lambda name, raw: (name + "2", raw)),
    "another key id": lambda note: _line(note, lambda name, raw: (name, _flip(raw, 0))),
    "first byte of the signature": lambda note: _line(note, lambda name, raw: (name, _flip(raw, 4))),
    "last byte of the signature": lambda note: _line(note, lambda name, raw: (name, _flip(raw, -1))),
    "a signature cut short": lambda note: _line(note, lambda name, raw: (name, raw[:-1])),
    "a longer signature": lambda note: _line(note, lambda name, raw: (name, raw + b"\0")),
    "no signature": lambda note: note[: note.index("\n\n") + 2],
    "no blank line": lambda note: note.replace("\n\n", "\n"),
    "no last newline": lambda note: note[:-1],
    "a hyphen for the dash": lambda note: note.replace("\u2014", "-"),
    "two spaces": lambda note: note.replace("\u2014 ", "\u2014  "),
    "carriage returns": lambda note: note.replace("\n", "\r\n"),
    "a control character": lambda note: note.replace("\n", "\x07\n", 1),
    "a second blank line": lambda note: note.replace("\n\n", "\n\n\n"),
    "words behind it": lambda note: note + "words\n",
}
