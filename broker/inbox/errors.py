"""The inbox's two errors: what a client did wrong, and what our own folder or code did wrong."""


class Refused(Exception):  # noqa: N818 - a refusal is an answer, and reads as one where it is raised
    """A client asked for what it may not have; `status` is HTTP's, `code` is stable, `message` is for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class InboxError(Exception):
    """The inbox's folder can't be used, or its own code broke a rule; the message says where and what to do."""
