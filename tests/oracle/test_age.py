"""age: the stock tool opens what we seal, we open what it seals, and neither opens what was altered."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from device.vault.errors import SealError
from device.vault.sealing import new_identity, recipient_of, seal, unseal
from tests.conftest import need

pytestmark = pytest.mark.age

IDENTITY = new_identity()
RECIPIENT = recipient_of(IDENTITY)
CHUNK = 64 * 1024 + 16  # a chunk of the payload with its tag
PLAIN = bytes(range(256)) * 700  # three chunks


@pytest.fixture
def age(tmp_path: Path) -> Callable[..., bytes | None]:
    """Runs `age` over some bytes; None where it fails."""
    tool = need("age")
    (tmp_path / "identity").write_text(IDENTITY + "\n")

    def run(data: bytes, *arguments: str) -> bytes | None:
        done = subprocess.run([tool, *arguments], input=data, cwd=tmp_path, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    return run


def _split(sealed: bytes) -> tuple[list[bytes], bytes]:
    """Return the header's lines and the payload, which begins with a nonce of 16 bytes."""
    *lines, last = sealed.split(b"\n", sealed[: sealed.index(b"\n---")].count(b"\n") + 2)
    return lines, last


def _join(lines: list[bytes], payload: bytes) -> bytes:
    return b"\n".join((*lines, payload))


def _flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def _with_line(sealed: bytes, at: int, change: Callable[[bytes], bytes]) -> bytes:
    lines, payload = _split(sealed)
    lines[at] = change(lines[at])
    return _join(lines, payload)


def _with_payload(sealed: bytes, change: Callable[[bytes], bytes]) -> bytes:
    lines, payload = _split(sealed)
    return _join(lines, payload[:16] + change(payload[16:]))


FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "another version": lambda sealed: sealed.replace(b"age-encryption.org/v1", b"age-encryption.org/v2", 1),
    "another kind of recipient": lambda sealed: sealed.replace(b"-> X25519", b"-> x25519", 1),
    "another share": lambda sealed: _with_line(sealed, 1, lambda line: line[:-5] + b"AAAA" + line[-1:]),
    "another file key": lambda sealed: _with_line(sealed, 2, lambda line: b"AAAA" + line[4:]),
    "another MAC": lambda sealed: _with_line(sealed, -1, lambda line: line[:4] + b"AAAA" + line[8:]),
    "no MAC": lambda sealed: _with_line(sealed, -1, lambda _: b"---"),
    "a stanza more": lambda sealed: sealed.replace(b"\n---", b"\n-> X25519 AAAA\nAAAA\n---", 1),
    "carriage returns": lambda sealed: _join([line + b"\r" for line in _split(sealed)[0]], _split(sealed)[1]),
    "another nonce": lambda sealed: _join(_split(sealed)[0], _flip(_split(sealed)[1], 0)),
    "first byte of the payload": lambda sealed: _with_payload(sealed, lambda data: _flip(data, 0)),
    "last byte of the payload": lambda sealed: _with_payload(sealed, lambda data: _flip(data, -1)),
    "cut by a byte": lambda sealed: sealed[:-1],
    "cut at a chunk": lambda sealed: _with_payload(sealed, lambda data: data[: 2 * CHUNK]),
    "cut to nothing": lambda sealed: _with_payload(sealed, lambda _: b""),
    "chunks exchanged": lambda sealed: _with_payload(
        sealed, lambda data: data[CHUNK : 2 * CHUNK] + data[:CHUNK] + data[2 * CHUNK :]
    ),
    "a chunk twice": lambda sealed: _with_payload(sealed, lambda data: data[:CHUNK] + data),
    "a chunk less": lambda sealed: _with_payload(sealed, lambda data: data[CHUNK:]),
    "bytes behind it": lambda sealed: sealed + b"more",
}


def test_each_opens_what_the_other_seals(age: Callable[..., bytes | None]) -> None:
    """Ours with the stock tool, its with ours."""
    assert age(seal(PLAIN, [RECIPIENT]), "-d", "-i", "identity") == PLAIN
    theirs = age(PLAIN, "-r", RECIPIENT)
    assert theirs is not None
    assert unseal(theirs, IDENTITY) == PLAIN


def test_neither_opens_what_was_sealed_to_another(age: Callable[..., bytes | None]) -> None:
    """Only the recipient's identity opens."""
    other = recipient_of(new_identity())
    assert age(seal(PLAIN, [other]), "-d", "-i", "identity") is None
    theirs = age(PLAIN, "-r", other)
    assert theirs is not None
    with pytest.raises(SealError):
        unseal(theirs, IDENTITY)


@pytest.mark.parametrize("what", FORGERIES)
def test_neither_opens_what_was_altered(age: Callable[..., bytes | None], what: str) -> None:
    """Header and payload are authenticated whole: a change anywhere, and nothing comes out of ours."""
    theirs = age(PLAIN, "-r", RECIPIENT)
    assert theirs is not None
    for sealed in (seal(PLAIN, [RECIPIENT]), theirs):
        forged = FORGERIES[what](sealed)
        assert forged != sealed
        assert age(forged, "-d", "-i", "identity") is None
        with pytest.raises(SealError):
            unseal(forged, IDENTITY)
