"""The device's state: one SQLite database, one connection, one writer. It knows transactions, not what is stored.

1. A transaction is durable when its `with` block has ended without an error; if it raises, or power fails in it,
   none of it was kept. (Rollback journal, `synchronous=EXTRA`: the journal's removal is synced too.)
2. One process at a time: a lock file beside the database is held for as long as the state is open for writing.
3. One transaction at a time: threads wait for one another; a thread that starts a second inside its first is refused.
4. Each room declares its own tables as a `Schema`, whose versions are applied in order and counted in
   `schema_versions`. A state written by a newer program is refused, not guessed at.
5. A reader of the file keeps the writer's commit waiting, for BUSY_S at the most. Who looks at a state that a daemon
   has open takes a `snapshot`, which holds the file only while it is copied into memory.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from .database import BUSY_S, connect, lock, refuse_busy, translated
from .disk import private_folder
from .errors import MisuseError, StateError

LAYOUT = 1  # PRAGMA user_version: the meaning of schema_versions and meta
APPLICATION_ID = 0x4C545348  # "LTSH"
LAYOUT_STATEMENTS = (
    "CREATE TABLE schema_versions (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {LAYOUT}",
)

Row = tuple[Any, ...]
Values = Sequence[str | bytes | int | float | None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Schema:
    """One room's tables: `versions[n]` are the statements that lead from version n to n + 1. Only add to the end."""

    name: str
    versions: tuple[tuple[str, ...], ...]


class Transaction:
    """An open transaction: what takes one as a parameter happens together with the rest of it, or not at all."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one statement; returns the number of rows it changed."""
        return self._open().execute(sql, values).rowcount

    def execute_many(self, sql: str, rows: Sequence[Values]) -> None:
        """Run one statement for each row of values."""
        self._open().executemany(sql, rows)

    def query(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a SELECT, this transaction's own changes included."""
        return self._open().execute(sql, values).fetchall()

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small value under a key."""
        self.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise MisuseError("this transaction has ended")
        return self._connection

    def _end(self) -> None:
        self._connection = None


class State:
    """The open state. Make one with `State.open`; use it from any thread; close it, or use it in a `with`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock_fd: int | None) -> None:
        self.path = path
        self.read_only = lock_fd is None
        self._connection = connection
        self._lock_fd = lock_fd
        self._turn = threading.RLock()
        self._busy = False  # a transaction of the thread that holds _turn is open
        self._companions: dict[type[Any], Any] = {}

    @classmethod
    def open(cls, path: Path, *, schemas: Sequence[Schema] = (), read_only: bool = False) -> Self:
        """Open or create the state and bring each schema up to date.

        Read-only looks at a state that its daemon may have open: no lock, no migration. Raises StateLockedError,
        StateFullError, StateError.
        """
        if read_only:
            return cls(path, connect(path, read_only=True), None)
        private_folder(path.parent)
        lock_fd = lock(path)
        state = None
        try:
            state = cls(path, connect(path, read_only=False), lock_fd)
            state._lay_out()
            for schema in schemas:
                state.migrate(schema)
        except BaseException:
            if state is not None:
                state._connection.close()
            os.close(lock_fd)
            raise
        return state

    @classmethod
    def snapshot(cls, path: Path, *, busy_s: float = BUSY_S) -> Self:
        """Copy the state as it stands into memory, in one step, and let go of the file: take as long as you like then.

        The copy is read-only and keeps the path for messages. `busy_s`: how long a writer is waited for. Raises
        StateBusyError, StateError.
        """
        source = connect(path, read_only=True, busy_s=busy_s)
        copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            # Called after each try, also when a writer had the file for all that time: it would go on for ever.
            source.backup(copy, progress=lambda code, _left, _pages: refuse_busy(path, code))
            copy.execute("PRAGMA trusted_schema = OFF")
            copy.execute("PRAGMA query_only = ON")
        except sqlite3.DatabaseError as error:
            copy.close()
            raise translated(path, error) from error
        except BaseException:
            copy.close()
            raise
        finally:
            source.close()
        return cls(path, copy, None)

    def migrate(self, schema: Schema) -> None:
        """Bring one room's tables up to date, each version in its own transaction; what stores things calls this."""
        version = self._schema_version(schema.name)
        if version > len(schema.versions):
            raise StateError(
                f"{self.path}: {schema.name} has version {version}, this program knows {len(schema.versions)}; "
                "it was written by a newer Latchstring: run that one"
            )
        if self.read_only and version < len(schema.versions):
            raise StateError(
                f"{self.path} was left by an older Latchstring; start the device once to bring it up to date"
            )
        for number, statements in enumerate(schema.versions[version:], start=version + 1):
            with self.transaction() as tx:
                for statement in statements:
                    tx.execute(statement)
                tx.execute(
                    "INSERT INTO schema_versions VALUES (?, ?) ON CONFLICT DO UPDATE SET version = excluded.version",
                    (schema.name, number),
                )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a transaction; commit at the end of the block, roll back if it raises.

        Raises StateFullError, StateBusyError, StateError.
        """
        with self._turn:
            self.refuse_nesting()
            tx = Transaction(self._connection)
            self._busy = True
            try:
                with self._errors():
                    self._connection.execute("BEGIN IMMEDIATE")
                    yield tx
                    self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                tx._end()  # noqa: SLF001 - only the state ends its transactions
                self._busy = False

    def query(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a SELECT; other threads' transactions are waited for."""
        with self._turn, self._errors():
            return self._connection.execute(sql, values).fetchall()

    def companion(self, kind: type[T]) -> T:
        """Return the one `kind()` beside this open state: what a room knows in memory, ahead of its tables."""
        with self._turn:
            found: T = self._companions.setdefault(kind, kind())
            return found

    def get_meta(self, key: str) -> str | None:
        """Return the small value kept under a key."""
        rows = self.query("SELECT value FROM meta WHERE key = ?", (key,))
        return None if not rows else str(rows[0][0])

    def refuse_nesting(self) -> None:
        """Raise MisuseError if this thread is inside a transaction: a second one would deadlock or be half kept."""
        # Non-blocking: if another thread holds the turn, this one is in no transaction.
        if self._turn.acquire(blocking=False):
            try:
                if self._busy:
                    raise MisuseError("this thread has a transaction open already; transactions do not nest")
            finally:
                self._turn.release()

    def check(self) -> list[str]:
        """Verify the whole database (integrity_check and foreign_key_check); returns what is wrong, line by line."""
        try:
            found = [str(row[0]) for row in self.query("PRAGMA integrity_check")]
            orphans = self.query("PRAGMA foreign_key_check")
        except StateError as error:
            return [str(error)]
        wrong = [line for line in found if line != "ok"]
        return wrong + [f"a row of {row[0]} points to a row of {row[2]} that is not there" for row in orphans]

    def close(self) -> None:
        """Close the database and let go of the lock. Closing twice is fine."""
        with self._turn:
            self._connection.close()
            if self._lock_fd is not None:
                os.close(self._lock_fd)
                self._lock_fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lay_out(self) -> None:
        ((layout,),) = self.query("PRAGMA user_version")
        if layout > LAYOUT:
            raise StateError(f"{self.path} has layout {layout}, this program knows {LAYOUT}: run the newer Latchstring")
        if layout == 0:
            with self.transaction() as tx:
                for statement in LAYOUT_STATEMENTS:
                    tx.execute(statement)
        ((found,),) = self.query("PRAGMA application_id")
        if found != APPLICATION_ID:
            raise StateError(f"{self.path} is another program's database")

    def _schema_version(self, name: str) -> int:
        rows = self.query("SELECT version FROM schema_versions WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # a constraint of ours: the caller's business, or a fault of our own
        except sqlite3.DatabaseError as error:
            raise translated(self.path, error) from error
