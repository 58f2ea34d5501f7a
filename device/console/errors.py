"""What the console answers when it can't do what was asked: a status, and one line for a person."""

from typing import Any


class ApiError(Exception):
    """A request that is not carried out; `more` stands beside the line in the answer."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.more = more


def locked() -> ApiError:
    """Return the answer of a locked console to whatever needs what only an unlocked one has."""
    return ApiError(423, "the console is locked; unlock it first")


class DroppedError(Exception):
    """What was being prepared is not wanted any more."""
