"""What a request, an owner's step or a caller did wrong, in one line for a person."""

from broker.wire.records import Request


class ConsentError(Exception):
    """Something may not happen; nothing was changed."""


class RefusedError(ConsentError):
    """An announced request does not count. `rule` is a stable code for the ledger and for tests."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{message} [{rule}]")
        self.rule = rule
        self.message = message


class NotReadYetError(ConsentError):
    """A request is proven to be logged, and the device has not read the log so far: it is judged later.

    `request` is what it says, its signature unchecked.
    """

    def __init__(self, request: Request, *, index: int, size: int) -> None:
        super().__init__(f"this is entry {index} of the public log, and {size} entries were read so far")
        self.request = request
        self.index = index
        self.size = size


class TransitionError(ConsentError):
    """A request can't take this step from the state it is in."""


class ApprovalError(ConsentError):
    """An approval does not hold: not the owner's, or not for what is at hand."""
