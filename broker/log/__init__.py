"""The public log: entries that can only be added, in static tiles under a signed checkpoint, and who may add what.

Verifiers take `broker.log.verify` and `broker.log.readers`, which need none of the server.
"""

from .cosigned.panel import CosignTiming, Panel
from .history.book import Book
from .history.refusals import RefusalJournal
from .sequencer import Sequencer
from .server import routes
from .service import LogService
from .storage.folder import FolderStorage, Storage

__all__ = [
    "Book",
    "CosignTiming",
    "FolderStorage",
    "LogService",
    "Panel",
    "RefusalJournal",
    "Sequencer",
    "Storage",
    "routes",
]
