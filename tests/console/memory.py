"""What is left of a secret: in the memory of processes, and in files."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from broker.wire.encoding import to_base64
from broker.wire.segments import decode_segment
from device.vault.keys import unlock_owner
from device.vault.sealing import unseal

_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ (\d+) *(.*)")
_STEP = 1 << 22
_BECH32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
MARK_BYTES = 64


def secrets_of(owner_key: bytes, passphrase: str) -> dict[str, bytes]:
    """Return what of an owner may never be left over, by name, in each form that it has in memory."""
    owner = unlock_owner(owner_key, passphrase)
    seed = owner.signing.private_bytes_raw()
    return {
        "identity": owner.identity.encode(),
        "identity, decoded": identity_bytes(owner.identity),
        "signing key": seed,
        "signing key, in text": to_base64(seed).encode(),
        "passphrase": passphrase.encode(),
    }


def identity_bytes(identity: str) -> bytes:
    """Return the 32 bytes that an age identity spells in Bech32."""
    digits = [_BECH32.index(letter) for letter in identity.rpartition("1")[2]][:-6]
    number = 0
    for digit in digits:
        number = number << 5 | digit
    return (number >> (len(digits) * 5 - 256)).to_bytes(32, "big")


def mark_of_segment(sealed: bytes, identity: str) -> bytes:
    """Return bytes out of the middle of a picture: whoever has them has opened it."""
    largest = max((unit.data for unit in decode_segment(unseal(sealed, identity)).units), key=len)
    return _middle(largest)


def mark_of_thumbnail(sealed: bytes, identity: str) -> bytes:
    """Return bytes out of the middle of a JPEG."""
    return _middle(unseal(sealed, identity))


def family(pid: int) -> list[int]:
    """Return a process and all that come from it."""
    found = [pid]
    with contextlib.suppress(FileNotFoundError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found += family(int(child))
    return found


def in_memory(pids: Iterable[int], wanted: Mapping[str, bytes]) -> set[str]:
    """Return the names of what is found in the memory of some processes."""
    found: set[str] = set()
    for pid in pids:
        for block in _memory(pid):
            found |= {name for name, needle in wanted.items() if name not in found and needle in block}
    return found


def in_files(folders: Iterable[Path], wanted: Mapping[str, bytes], *, since_s: float = 0) -> list[str]:
    """Return which file holds what, of those that were written since."""
    found = []
    for folder in folders:
        for root, _, names in os.walk(folder):
            for path in (Path(root) / name for name in names):
                with contextlib.suppress(OSError):  # gone meanwhile, or a socket
                    if path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since_s:
                        data = path.read_bytes()
                        found += [f"{path}: {name}" for name, needle in wanted.items() if needle in data]
    return found


def _memory(pid: int) -> Iterator[bytes]:
    """Give what a process has in its memory, but for what are files of the system and can't be written."""
    before = b""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            match = _MAPPING.match(line)
            if match is None or match[4] in {"[vvar]", "[vsyscall]", "[vvar_vclock]"}:
                continue
            if match[3] != "0" and line.split()[1][1] != "w":
                continue
            start, end = int(match[1], 16), int(match[2], 16)
            before = b""
            for at in range(start, end, _STEP):
                try:
                    memory.seek(at)
                    block = memory.read(min(_STEP, end - at))
                except (OSError, OverflowError):  # a page that can't be read
                    break
                yield before + block
                before = block[-256:]


def _middle(data: bytes) -> bytes:
    at = len(data) // 2
    return data[at : at + MARK_BYTES]
