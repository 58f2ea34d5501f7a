"""Counts what a source gives that can't be used, and tells of the 1st, the 10th, the 100th: no log is flooded."""

import structlog

log = structlog.get_logger()


class Damage:
    """What was wrong with one source. `told` is off where whoever reads it tells of it himself."""

    def __init__(self, *, source: str, told: bool) -> None:
        self._source = source
        self._told = told
        self._next = 1
        self.count = 0
        self.reason: str | None = None

    def found(self, reason: str) -> None:
        """Count a packet or picture that is lost."""
        self.count += 1
        self.reason = reason
        if self._told and self.count >= self._next:
            self._next *= 10
            log.warning("camera_damaged", source=self._source, reason=reason, count=self.count)
