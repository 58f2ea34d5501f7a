"""What an agency's tools raise; each message is one line: what, where, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass


class AgencyError(Exception):
    """Something in the agency's folder is not as it must be."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One wrong value: the key it stands under, None if it belongs to none, and what is wrong with it."""

    key: str | None
    what: str


class RequestFileError(AgencyError):
    """A request file has an unknown key or a wrong value; `key` names the first one that is at fault."""

    def __init__(self, message: str, *, mistakes: Sequence[Mistake] = ()) -> None:
        super().__init__(message)
        self.mistakes = tuple(mistakes)
        self.key = mistakes[0].key if mistakes else None


class BundleError(AgencyError):
    """A bundle can't be opened at all; nothing of it was kept."""


class RemoteError(AgencyError):
    """A log or an inbox refused, or answered what can't be believed; `code` is its stable word, if it gave one."""

    def __init__(
        self, message: str, *, code: str | None = None, status: int | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class UnreachableError(RemoteError):
    """A log or an inbox could not be reached; the same call may succeed later."""


class AwaitingError(RemoteError):
    """The log took an entry and has not published it in the time that was given; it is kept, and nothing is lost."""

    def __init__(self, message: str, *, index: int, leaf: str) -> None:
        super().__init__(message)
        self.index = index
        self.leaf = leaf
