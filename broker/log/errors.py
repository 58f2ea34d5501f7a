"""What the log's room raises. Input that breaks the wire contract raises broker.wire's WireError instead."""


class LogError(Exception):
    """Something is wrong with the log at our side; the message says what, where, and what to do."""


class LogInUseError(LogError):
    """Another sequencer writes this log."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where} is in use by another 'latchstring broker run'; a log has exactly one writer. Stop the other first"
        )
        self.where = where


class CheckpointConflictError(LogError):
    """The stored head is not the one that was to be replaced; nothing was changed."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where}: the head was changed by somebody else; nothing was stored")
        self.where = where


class LogDamagedError(LogError):
    """What is stored contradicts the log's own checkpoint. Never repaired on the quiet: a repair would be a fork."""


class BookError(LogError):
    """The log's history, which is kept beside it, can't be written."""


class LogBusyError(LogError):
    """More entries wait than the queue holds; try again later."""


class NotYetPublishedError(LogError):
    """An entry is in the log, but no published checkpoint covers it yet: its cosignatures are awaited."""

    def __init__(self, index: int) -> None:
        super().__init__(f"entry {index} is logged and awaits the witnesses; ask for its proof again in a moment")
        self.index = index


class LogReadError(LogError):
    """A file of a log could not be read by a verifier."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class NotPublishedError(LogError):
    """The injected MQTT `publish` raises this when a message did not reach the broker; it is tried again."""


class StorageError(LogError):
    """What keeps a log's files does not do its part; the outcome of the call is not known."""

    def __init__(self, where: str, reason: str, advice: str) -> None:
        super().__init__(f"{where}: {reason}; {advice}")
        self.where = where
        self.reason = reason


class StorageUnreachableError(StorageError):
    """The object store gave no answer that tells what became of the call; it may succeed when tried again."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason, "look whether the store runs and can be reached")


class StorageRefusedError(StorageError):
    """The object store refuses: no such bucket, no permission, settings it can't use. Nothing was done."""
