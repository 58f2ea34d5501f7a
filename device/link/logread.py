"""Reading the public log over HTTP: its files, whole, and nothing else is ever asked for.

1. Every request is a GET of `checkpoint` or of a tile's path below the configured address, without a query, a cookie or
   a body: the words of this module are all that a log or mirror learns. Which entry matters to the household can't be
   told from them, since entries come in whole bundles only.
2. Answers are read up to the size that the file can have, and within a time in all: an endless answer ends.
3. No redirect is followed: what is configured is asked.
"""

import asyncio
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx

from broker.wire.encoding import WireError
from broker.wire.notes import MAX_NOTE_BYTES
from broker.wire.tiles import MAX_ENTRIES_BYTES, TILE_WIDTH, Tile, decode_entries

from .errors import LogUnreadable

CHECKPOINT: Final = "checkpoint"
ANSWER_S: Final = 30.0
HEAD_S: Final = 5.0  # so small an answer is there at once, or not at all
GONE: Final = frozenset({404, 410})
OK: Final = 200


@dataclass(frozen=True, slots=True)
class LogAddress:
    """Where a log's files are served: `<prefix>/checkpoint`, `<prefix>/tile/…`. `own`: by the log itself."""

    name: str
    prefix: str
    own: bool


class LogReading:
    """Reads files of logs and mirrors; raises LogUnreadable. Close it with `aclose`.

    Takes no proxy and no password from the environment. TLS is checked, by `ca_file` if given: raises OSError
    (ssl.SSLError is one) if that can't be read.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        answer_s: float = ANSWER_S,
    ) -> None:
        verify: ssl.SSLContext | bool = True if ca_file is None else ssl.create_default_context(cafile=str(ca_file))
        # As many connections as are asked for at once: who is slow must take nobody else's.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=2)
        self._client = httpx.AsyncClient(trust_env=False, verify=verify, limits=limits, transport=transport)
        self._answer_s = answer_s

    async def aclose(self) -> None:
        """Close what is open."""
        await self._client.aclose()

    async def checkpoint(self, where: LogAddress) -> bytes:
        """Return the note that is served as the newest; a cache on the way is asked to look again."""
        return await self._get(where, CHECKPOINT, MAX_NOTE_BYTES, within_s=min(HEAD_S, self._answer_s))

    async def hashes(self, where: LogAddress, tile: Tile) -> bytes:
        """Return a hash tile's bytes, as wide as asked for."""
        served, data = await self._tile(where, tile)
        if len(data) != served.hash_bytes:
            raise LogUnreadable(where.name, served.path, f"has {len(data)} bytes, not {served.hash_bytes}")
        return data[: tile.hash_bytes]

    async def entries(self, where: LogAddress, tile: Tile) -> list[bytes]:
        """Return a bundle's entries, as many as asked for."""
        served, data = await self._tile(where, tile)
        try:
            return decode_entries(data, width=served.width)[: tile.width]
        except WireError as error:
            raise LogUnreadable(where.name, served.path, f"is no bundle: {error}") from error

    async def _tile(self, where: LogAddress, tile: Tile) -> tuple[Tile, bytes]:
        """Return a tile as it is served: of one that is no longer served narrow, the full one."""
        try:
            return tile, await self._get(where, tile.path, _most(tile))
        except LogUnreadable as error:
            if tile.width == TILE_WIDTH or error.status not in GONE:
                raise
        full = replace(tile, width=TILE_WIDTH)
        return full, await self._get(where, full.path, _most(full))

    async def _get(self, where: LogAddress, path: str, most: int, *, within_s: float | None = None) -> bytes:
        within_s = self._answer_s if within_s is None else within_s
        headers = {"User-Agent": "latchstring", "Accept-Encoding": "identity"}
        if path == CHECKPOINT:  # by no ETag either: one could be made for each of us
            headers["Cache-Control"] = "no-cache"
        request = httpx.Request(
            "GET",
            f"{where.prefix}/{path}",
            headers=headers,
            extensions={"timeout": httpx.Timeout(within_s).as_dict()},
        )
        try:
            async with asyncio.timeout(within_s):
                response = await self._client.send(request, stream=True, follow_redirects=False, auth=None)
                try:
                    if response.status_code != OK:
                        raise LogUnreadable(where.name, path, f"answers {response.status_code}", response.status_code)
                    return await _body(response, where, path, most)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise LogUnreadable(where.name, path, f"takes longer than {within_s:g} s") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise LogUnreadable(where.name, path, str(error) or type(error).__name__) from error


def _most(tile: Tile) -> int:
    return MAX_ENTRIES_BYTES if tile.level == "entries" else tile.hash_bytes


async def _body(response: httpx.Response, where: LogAddress, path: str, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > most:
            raise LogUnreadable(where.name, path, f"is more than the {most} bytes that it can be")
        parts.append(part)
    return b"".join(parts)
