"""What an agency's tools raise; each message is one line: what, where, what to do."""


class AgencyError(Exception):
    """Something in the agency's folder is not as it must be."""


class RequestFileError(AgencyError):
    """A request file has an unknown key or a wrong value; `key` names it where one is at fault."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class BundleError(AgencyError):
    """A bundle can't be opened at all; nothing of it was kept."""


class RemoteError(AgencyError):
    """A log or an inbox refused, or answered what can't be believed; `code` is its stable word, if it gave one."""

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class UnreachableError(RemoteError):
    """A log or an inbox could not be reached; the same call may succeed later."""
