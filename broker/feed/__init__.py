"""The public feed: pages that anybody can read, without script, of all that was asked. It reads the log, no more."""

from .server import routes

__all__ = ["routes"]
