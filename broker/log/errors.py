"""What the log's room raises. Input that breaks the wire contract raises broker.wire's WireError instead."""


class LogError(Exception):
    """Something is wrong with the log at our side; the message says what, where, and what to do."""


class LogInUseError(LogError):
    """Another sequencer writes this log."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where} is in use by another sequencer; a log has exactly one writer. Stop the other first")
        self.where = where


class CheckpointConflictError(LogError):
    """The stored checkpoint is not the one that was to be replaced; nothing was changed."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where}: the checkpoint was changed by somebody else; nothing was published")
        self.where = where


class LogDamagedError(LogError):
    """What is stored contradicts the log's own checkpoint. Never repaired on the quiet: a repair would be a fork."""


class LogBusyError(LogError):
    """More entries wait than the queue holds; try again later."""


class LogReadError(LogError):
    """A file of a log could not be read by a verifier."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class NotPublishedError(LogError):
    """The injected MQTT `publish` raises this when a message did not reach the broker; it is tried again."""
