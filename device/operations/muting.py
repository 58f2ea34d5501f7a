"""Operations on what the owner does not want to be told of, and on what there is to tell."""

import asyncio
from collections.abc import Mapping
from typing import Any

from broker.wire.encoding import WireError
from device.consent.mutes import MuteKind, Mutes
from device.control import Answer

from .arguments import take


class MutingOperations:
    """Mutes and notices."""

    NAMES = ("mutes", "mute", "notices")

    def __init__(self, mutes: Mutes) -> None:
        self._mutes = mutes

    async def mutes(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return all mutes, the oldest first."""
        take(arguments, body)
        found = await asyncio.to_thread(self._mutes.every)
        return [{"kind": str(one.kind), "value": one.value, "since_us": one.since_us} for one in found], b""

    async def mute(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Mute an agency, a type of incident or this device, or take that back."""
        kind, value, on = take(arguments, body, kind=str, value=str, on=bool)
        if kind not in set(MuteKind):
            raise WireError(f"what can be muted is an {', an '.join(list(MuteKind)[:-1])} or the {MuteKind.DEVICE}")
        change = self._mutes.mute if on else self._mutes.unmute
        await asyncio.to_thread(change, MuteKind(kind), value)
        return {"kind": kind, "value": value, "on": on}, b""

    async def notices(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return what waits for the owner and was never told to anybody who asked this: from now on it was."""
        take(arguments, body)
        return {"new": await asyncio.to_thread(self._mutes.take_notices)}, b""
