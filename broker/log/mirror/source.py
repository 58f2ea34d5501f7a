"""Where a mirror reads a log: its public URL. Each answer is bounded in size and in time, packed or unpacked."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Protocol

import httpx

from broker.log.errors import LogReadError
from broker.log.storage.folder import CHECKPOINT_PATH
from broker.wire.merkle import HASH_BYTES
from broker.wire.notes import MAX_NOTE_BYTES
from broker.wire.tiles import MAX_ENTRIES_BYTES, TILE_WIDTH, Tile

ANSWER_S = 60.0  # for a whole file, however it trickles
SILENCE_S = 20.0
_GONE = {httpx.codes.NOT_FOUND, httpx.codes.GONE}
_GZIP = 16 + zlib.MAX_WBITS


class Source(Protocol):
    """Where a log is read."""

    @property
    def url(self) -> str:
        """The log's address."""

    async def checkpoint(self) -> bytes:
        """Return the published note; raises LogReadError."""

    async def tile(self, tile: Tile) -> bytes | None:
        """Return a tile or bundle, None if the log does not have it (any more); raises LogReadError."""


class LogSource:
    """The static files of one log below `url`. Redirects are not followed: nobody else is to be asked in our name."""

    def __init__(self, url: str, *, client: httpx.AsyncClient | None = None, answer_s: float = ANSWER_S) -> None:
        self._url = url.rstrip("/")
        self._client = client or httpx.AsyncClient(
            timeout=SILENCE_S, headers={"Accept-Encoding": "gzip, identity"}, trust_env=False
        )
        self._answer_s = answer_s

    @property
    def url(self) -> str:
        """The log's address, without a slash at its end."""
        return self._url

    async def checkpoint(self) -> bytes:
        """Return the published note, as no cache has to have it; raises LogReadError."""
        data = await self._get(CHECKPOINT_PATH, MAX_NOTE_BYTES, headers={"Cache-Control": "no-cache"})
        if data is None:
            raise LogReadError(CHECKPOINT_PATH, "the log has none")
        return data

    async def tile(self, tile: Tile) -> bytes | None:
        """Return a tile or bundle, None if the log does not have it (any more); raises LogReadError."""
        most = MAX_ENTRIES_BYTES if tile.level == "entries" else TILE_WIDTH * HASH_BYTES
        return await self._get(tile.path, most)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, path: str, most: int, *, headers: Mapping[str, str] | None = None) -> bytes | None:
        try:
            async with (
                asyncio.timeout(self._answer_s),
                self._client.stream("GET", f"{self.url}/{path}", headers=headers) as response,
            ):
                if response.status_code in _GONE:
                    return None
                if response.status_code != httpx.codes.OK:
                    raise LogReadError(path, f"the log answers {response.status_code}")
                return await _bounded(path, response, most)
        except TimeoutError as error:
            raise LogReadError(path, f"the log did not end its answer within {self._answer_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LogReadError(path, str(error) or type(error).__name__) from error


async def _bounded(path: str, response: httpx.Response, most: int) -> bytes:
    """Read and unpack; not a byte more than `most` is ever unpacked, whatever it was packed to."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise LogReadError(path, f"it comes in the encoding {encoding[:20]!r}, which was not asked for")
    unpack = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
    parts: list[bytes] = []
    packed = total = 0
    async for raw in response.aiter_raw():
        packed += len(raw)
        try:
            part = raw if unpack is None else unpack.decompress(raw, most - total + 1)
        except zlib.error as error:
            raise LogReadError(path, f"it can't be unpacked: {error}") from error
        total += len(part)
        if total > most or packed > most + MAX_NOTE_BYTES:
            raise LogReadError(path, f"has more than the {most} bytes that it may have")
        parts.append(part)
    if unpack is not None and not unpack.eof:
        raise LogReadError(path, "it ends within what is packed")
    return b"".join(parts)
