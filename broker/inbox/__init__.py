"""The evidence inbox: takes sealed bundles for open requests over tus, and hands them to the agency that asked.

It knows who asked and how much was promised, never who sends nor what is inside.
"""

from .claims import RequestBook
from .errors import InboxError, Refused
from .inbox import Inbox, InboxLimits
from .server import routes

__all__ = ["Inbox", "InboxError", "InboxLimits", "Refused", "RequestBook", "routes"]
