"""The public log: entries that can only be added, in static tiles under a signed checkpoint, and who may add what.

Verifiers take `broker.log.verify` and `broker.log.readers`, which need none of the server.
"""

from .sequencer import Sequencer
from .server import routes
from .service import LogService
from .storage import FolderStorage, Storage

__all__ = ["FolderStorage", "LogService", "Sequencer", "Storage", "routes"]
