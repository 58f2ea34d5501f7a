"""The operation by which the owner asks an agency to delete what it was given."""

import asyncio
from collections.abc import Mapping
from typing import Any

from device.asked import Asked
from device.control import Answer

from .arguments import take


class DeletionOperations:
    """What can be asked back."""

    NAMES = ("ask_deletion",)

    def __init__(self, asked: Asked) -> None:
        self._desk = asked.desk
        self._courier = asked.courier

    async def ask_deletion(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Keep that the owner asks, and begin to tell it; asked again it answers how far that is."""
        (leaf,) = take(arguments, body, leaf=str)
        found = await asyncio.to_thread(self._desk.ask_deletion, leaf)
        self._courier.deletion_asked(found)
        kept = await asyncio.to_thread(self._desk.deletions.of, found)
        return {"request": found, "deletion": None if kept is None else kept.summary()}, b""
