"""The database file under `state`: opened, locked, and its errors in words. Nothing here knows of tables."""

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path

from .disk import PRIVATE_FILE
from .errors import StateBusyError, StateError, StateFullError, StateLockedError

BUSY_S = 10.0
PRIMARY_CODE = 0xFF  # the low byte of SQLite's extended error codes says what kind of error it is


def connect(path: Path, *, read_only: bool, busy_s: float = BUSY_S) -> sqlite3.Connection:
    """Open the database at `path`; where it may be written it is made if need be. Raises StateError and its kinds."""
    if read_only and not path.is_file():
        raise StateError(f"{path} is not there; was this device set up here?")
    try:
        if not read_only:
            # SQLite would make it readable by all.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE))
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
        connection = sqlite3.connect(uri, uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise StateError(f"{path} can't be opened: {error.strerror}") from error
    except sqlite3.DatabaseError as error:
        raise translated(path, error) from error
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        if not read_only:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise translated(path, error) from error
    return connection


def lock(path: Path) -> int:
    """Take the lock beside the database, and return its descriptor; StateLockedError if another process has it."""
    lock_path = path.with_name(path.name + ".lock")
    try:
        fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise StateError(f"{lock_path} can't be opened: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise StateLockedError(
            f"{path} is in use by another process (pid {holder or 'unknown'}); stop it first"
        ) from error
    with contextlib.suppress(OSError):  # only a help for who is refused; a full disk must not keep us out
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def translated(path: Path, error: sqlite3.DatabaseError) -> StateError:
    """Return what an error of SQLite's means to the owner."""
    extended = getattr(error, "sqlite_errorcode", 0)
    code = extended & PRIMARY_CODE
    if code == sqlite3.SQLITE_FULL:
        return StateFullError(f"{path}: the disk is full; nothing of this step was kept")
    if code == sqlite3.SQLITE_BUSY:
        return _busy(path)
    if extended == sqlite3.SQLITE_READONLY_ROLLBACK:
        return StateError(f"{path} was left in the middle of a step; start the device once, which takes that back")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StateError(f"{path} is damaged or is no database ({error}); keep a copy, then restore or rebuild it")
    return StateError(f"{path}: {error}")


def refuse_busy(path: Path, code: int) -> None:
    """Raise StateBusyError if the code that a step of a backup ended with says that somebody writes."""
    if code & PRIMARY_CODE in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise _busy(path)


def _busy(path: Path) -> StateBusyError:
    return StateBusyError(f"{path} was held by another process for too long; nothing of this step was kept")
