"""Logs: events with fields, on standard error; lines for people on a terminal, JSON elsewhere."""

import logging
import sys
from typing import TextIO

import structlog


def configure(*, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Configure structlog for this process."""
    out = sys.stderr if stream is None else stream
    on_terminal = out.isatty()
    # A plain traceback: the ornate one shows what the variables hold, and that may be a passphrase or a picture.
    for_people = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer: structlog.typing.Processor = for_people if on_terminal else structlog.processors.JSONRenderer()
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not on_terminal:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
