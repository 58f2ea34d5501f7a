"""The file that a book stands in: opened, or made anew where it is of no use. What is in it follows from the log."""

import sqlite3
from pathlib import Path
from typing import Final

from broker.log.errors import BookError

from .deletions import SCHEMA as DELETIONS
from .query import SCHEMA, VERSION, cell_at

_CACHE_KIB: Final = 8_192
_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class _OtherVersionError(Exception):
    """The file was made by another version."""


def open_book(path: Path | None) -> sqlite3.Connection:
    """Open a book's file, None for a temporary one; raises BookError for one that can't be used now.

    Only its log's writer may open it: what is damaged, or of another version, is removed.
    """
    if path is None:
        return _connect("")
    try:
        return _connect(path)
    except _OtherVersionError:
        remove_book(path)
    except sqlite3.Error as error:
        if not getattr(error, "sqlite_errorname", "").startswith(_DAMAGED):
            raise BookError(
                f"{path} can't be used: {error}; see that nobody else does, and that it may be read"
            ) from error
        remove_book(path)
    try:
        return _connect(path)
    except sqlite3.Error as error:
        raise BookError(f"{path} can't be made: {error}") from error


def remove_book(path: Path) -> None:
    """Remove the file, and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _connect(path: Path | str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        # One connection, so that a write-ahead log is safe; a cut may lose the last batches, which are replayed.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.create_function("h3_cell", 3, cell_at, deterministic=True)
        _check_version(db)
    except (sqlite3.Error, _OtherVersionError):
        db.close()
        raise
    return db


def _check_version(db: sqlite3.Connection) -> None:
    ((version,),) = db.execute("PRAGMA user_version")
    if version not in {0, VERSION}:
        raise _OtherVersionError
    if version == 0:
        db.executescript(f"BEGIN;{SCHEMA}{DELETIONS}COMMIT;")
