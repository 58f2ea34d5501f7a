"""Where a verifier gets a log's files: a folder, or the static URLs. Each file is read up to the size it may have."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx

from broker.wire.merkle import HASH_BYTES
from broker.wire.notes import MAX_NOTE_BYTES
from broker.wire.tiles import MAX_ENTRIES_BYTES, TILE_WIDTH

from .errors import LogReadError
from .storage.folder import CHECKPOINT_PATH

ANSWER_S = 120.0  # for a whole file, however it trickles
SILENCE_S = 20.0
_MAX_TILE_BYTES = TILE_WIDTH * HASH_BYTES

LogReader = Callable[[str], bytes]
"""Returns the file at a path (`checkpoint`, `tile/...`); raises LogReadError where it can't."""


def folder_reader(folder: Path) -> LogReader:
    """Read a log's files from its folder."""

    def read(path: str) -> bytes:
        most = _most_bytes(path)
        try:
            with (folder / path).open("rb") as file:
                data = file.read(most + 1)
        except OSError as error:
            raise LogReadError(path, error.strerror or str(error)) from error
        _demand(path, len(data), most)
        return data

    return read


def http_reader(
    url: str, *, client: httpx.Client | None = None, now_s: Callable[[], float] = time.monotonic
) -> LogReader:
    """Read a log's files below `url`, which ends in `/log` for the embedded server."""
    session = client or httpx.Client(timeout=SILENCE_S)
    prefix = url.rstrip("/")

    def read(path: str) -> bytes:
        most = _most_bytes(path)
        until_s = now_s() + ANSWER_S
        headers = {"Cache-Control": "no-cache"} if path == CHECKPOINT_PATH else None
        parts: list[bytes] = []
        total = 0
        try:
            with session.stream("GET", f"{prefix}/{path}", headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    raise LogReadError(f"{prefix}/{path}", f"the server answers {response.status_code}")
                for part in response.iter_bytes():
                    total += len(part)
                    _demand(path, total, most)
                    if now_s() > until_s:
                        raise LogReadError(path, f"the server did not end its answer within {ANSWER_S:g} s")
                    parts.append(part)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LogReadError(f"{prefix}/{path}", str(error) or type(error).__name__) from error
        return b"".join(parts)

    return read


def _most_bytes(path: str) -> int:
    if path == CHECKPOINT_PATH:
        return MAX_NOTE_BYTES
    return MAX_ENTRIES_BYTES if path.startswith("tile/entries/") else _MAX_TILE_BYTES


def _demand(path: str, total: int, most: int) -> None:
    if total > most:
        raise LogReadError(path, f"has more than the {most} bytes that it may have")
