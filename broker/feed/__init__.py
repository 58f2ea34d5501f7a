"""The public feed: pages that anybody can read, without script, of all that was asked. It reads the log, no more."""

from .server import nowhere, routes
from .site import Static

__all__ = ["Static", "nowhere", "routes"]
