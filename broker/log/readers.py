"""Where a verifier gets a log's files: a folder, or the static URLs. Each file is read up to the size it may have."""

from collections.abc import Callable
from pathlib import Path

import httpx

from broker.wire.merkle import HASH_BYTES
from broker.wire.notes import MAX_NOTE_BYTES
from broker.wire.tiles import MAX_ENTRY_BYTES, TILE_WIDTH

from .errors import LogReadError
from .storage.folder import CHECKPOINT_PATH

TIMEOUT_S = 20.0
_MAX_TILE_BYTES = TILE_WIDTH * HASH_BYTES
_MAX_BUNDLE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2)

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
        return _capped(path, data, most)

    return read


def http_reader(url: str, *, client: httpx.Client | None = None) -> LogReader:
    """Read a log's files below `url`, which ends in `/log` for the embedded server."""
    session = client or httpx.Client(timeout=TIMEOUT_S)
    prefix = url.rstrip("/")

    def read(path: str) -> bytes:
        most = _most_bytes(path)
        data = b""
        try:
            with session.stream("GET", f"{prefix}/{path}") as response:
                if response.status_code != httpx.codes.OK:
                    raise LogReadError(path, f"the server answers {response.status_code}")
                for part in response.iter_bytes():
                    data = _capped(path, data + part, most)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LogReadError(path, str(error) or type(error).__name__) from error
        return data

    return read


def _most_bytes(path: str) -> int:
    if path == CHECKPOINT_PATH:
        return MAX_NOTE_BYTES
    return _MAX_BUNDLE_BYTES if path.startswith("tile/entries/") else _MAX_TILE_BYTES


def _capped(path: str, data: bytes, most: int) -> bytes:
    if len(data) > most:
        raise LogReadError(path, f"has more than the {most} bytes that it may have")
    return data
