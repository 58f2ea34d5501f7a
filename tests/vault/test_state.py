"""The state: transactions, schemas, one writer, damage."""

import resource
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from device.vault.errors import MisuseError, StateBusyError, StateError, StateFullError, StateLockedError
from device.vault.state import Schema, State

THINGS = Schema("things", (("CREATE TABLE things (name TEXT PRIMARY KEY, parent TEXT REFERENCES things) STRICT",),))
MORE = Schema(
    "things", (*THINGS.versions, ("ALTER TABLE things ADD COLUMN size INTEGER", "UPDATE things SET size = 1"))
)


def add(state: State, name: str) -> None:
    with state.transaction() as tx:
        tx.execute("INSERT INTO things (name) VALUES (?)", (name,))


def test_transaction_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    """What a block wrote stands when it ended, and not at all when it raised."""
    with State.open(tmp_path / "s.db", schemas=[THINGS]) as state:
        add(state, "a")
        with pytest.raises(ZeroDivisionError), state.transaction() as tx:  # noqa: PT012 - the row must come first
            tx.execute("INSERT INTO things (name) VALUES ('b')")
            assert tx.query("SELECT count(*) FROM things") == [(2,)]
            raise ZeroDivisionError
        assert state.query("SELECT name FROM things") == [("a",)]
    with State.open(tmp_path / "s.db", schemas=[THINGS]) as state:
        assert state.query("SELECT name FROM things") == [("a",)]


def test_settings_that_keep_what_is_written(tmp_path: Path) -> None:
    """Rollback journal, synced to the last step, foreign keys held, and nobody else can read the file."""
    with State.open(tmp_path / "deep" / "s.db", schemas=[THINGS]) as state:
        assert state.query("PRAGMA journal_mode") == [("delete",)]
        assert state.query("PRAGMA synchronous") == [(3,)]
        with pytest.raises(sqlite3.IntegrityError), state.transaction() as tx:
            tx.execute("INSERT INTO things (name, parent) VALUES ('a', 'nobody')")
        assert stat.S_IMODE(state.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(state.path.parent.stat().st_mode) == 0o700
        assert state.check() == []


def test_transactions_do_not_nest(tmp_path: Path) -> None:
    """A second one inside the first is refused, the first lives on; one that has ended can't be used."""
    with State.open(tmp_path / "s.db", schemas=[THINGS]) as state:
        with state.transaction() as tx:
            with pytest.raises(MisuseError, match="nest"), state.transaction():
                pass
            tx.execute("INSERT INTO things (name) VALUES ('a')")
            assert state.query("SELECT count(*) FROM things") == [(1,)]
        with pytest.raises(MisuseError, match="ended"):
            tx.execute("DELETE FROM things")
        state.refuse_nesting()
        assert state.query("SELECT count(*) FROM things") == [(1,)]


def test_threads_take_turns(tmp_path: Path) -> None:
    """Threads that read and write see whole transactions only."""
    with State.open(tmp_path / "s.db", schemas=[THINGS]) as state:
        counts: set[int] = set()

        def write(prefix: str) -> None:
            for number in range(20):
                with state.transaction() as tx:
                    tx.execute("INSERT INTO things (name) VALUES (?)", (f"{prefix}{number}",))
                    tx.execute("INSERT INTO things (name) VALUES (?)", (f"{prefix}{number}'",))
                counts.add(state.query("SELECT count(*) FROM things")[0][0])

        threads = [threading.Thread(target=write, args=(prefix,)) for prefix in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert state.query("SELECT count(*) FROM things") == [(120,)]
        assert all(count % 2 == 0 for count in counts)


def test_schemas_are_brought_up_to_date(tmp_path: Path) -> None:
    """An older state gets the newer versions in order; a newer one is refused, not guessed at."""
    path = tmp_path / "s.db"
    with State.open(path, schemas=[THINGS]) as state:
        add(state, "a")
    with pytest.raises(StateError, match="older Latchstring"), State.open(path, read_only=True) as state:
        state.migrate(MORE)
    with State.open(path, schemas=[MORE]) as state:
        assert state.query("SELECT name, size FROM things") == [("a", 1)]
    with pytest.raises(StateError, match="newer Latchstring"):
        State.open(path, schemas=[THINGS])
    with State.open(path) as state:
        state.migrate(MORE)


def test_broken_migration_leaves_the_version_before(tmp_path: Path) -> None:
    """A migration that fails half-way changes nothing, and lets go of the lock."""
    path = tmp_path / "s.db"
    with State.open(path, schemas=[THINGS]):
        pass
    broken = Schema("things", (*THINGS.versions, ("ALTER TABLE things ADD COLUMN size INTEGER", "NONSENSE")))
    with pytest.raises(StateError, match="syntax"):
        State.open(path, schemas=[broken])
    with State.open(path, schemas=[MORE]) as state:
        assert state.check() == []


def test_meta_keeps_small_values(tmp_path: Path) -> None:
    """A small value is kept under its key, and the last one counts."""
    with State.open(tmp_path / "s.db") as state:
        assert state.get_meta("epoch") is None
        for value in ("1", "2"):
            with state.transaction() as tx:
                tx.set_meta("epoch", value)
        assert state.get_meta("epoch") == "2"


def test_second_process_is_refused(tmp_path: Path) -> None:
    """One process at a time: a second one is told who has it; a look without writing is allowed."""
    path = tmp_path / "s.db"
    code = "import sys; from pathlib import Path; from device.vault.state import State; State.open(Path(sys.argv[1]))"
    with State.open(path, schemas=[THINGS]) as state:
        add(state, "a")
        with pytest.raises(StateLockedError, match="in use by another process"):
            State.open(path)
        second = subprocess.run(
            [sys.executable, "-c", code, path],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            check=False,
        )
        assert second.returncode != 0
        assert "StateLockedError" in second.stderr
        with State.open(path, read_only=True) as looking:
            assert looking.query("SELECT name FROM things") == [("a",)]
            with pytest.raises(StateError, match="readonly"), looking.transaction() as tx:
                tx.execute("DELETE FROM things")
        state.close()
    with State.open(path):
        pass


@pytest.mark.parametrize("data", [b"not a database, for sure" * 100, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_damaged_state_is_one_clear_line(tmp_path: Path, data: bytes) -> None:
    """A file that is no database is refused with what to do, and left as it is."""
    path = tmp_path / "s.db"
    path.write_bytes(data)
    with pytest.raises(StateError, match="damaged or is no database"):
        State.open(path)
    assert path.read_bytes() == data
    with pytest.raises(StateError, match="damaged or is no database"):
        State.open(path, read_only=True)


def test_others_are_left_alone(tmp_path: Path) -> None:
    """Another program's database, a folder, a missing one: refused, each in its words."""
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("PRAGMA user_version = 1")
    other.close()
    with pytest.raises(StateError, match="another program"):
        State.open(tmp_path / "other.db")
    with pytest.raises(StateError, match="not there"):
        State.open(tmp_path / "none.db", read_only=True)
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StateError, match="can't be opened"):
        State.open(tmp_path / "folder.db")


def test_check_finds_a_damaged_page(tmp_path: Path) -> None:
    """A page of noise in the middle is found by the check."""
    path = tmp_path / "s.db"
    with State.open(path, schemas=[THINGS]) as state, state.transaction() as tx:
        for number in range(2_000):
            tx.execute("INSERT INTO things (name) VALUES (?)", (f"thing number {number}",))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4_096] = b"\xaa" * 4_096
    path.write_bytes(data)
    with State.open(path, read_only=True) as state:
        assert state.check() != []


def test_snapshot_keeps_no_writer_waiting(tmp_path: Path) -> None:
    """A snapshot is the state of its moment, can be read for as long as one likes, and can't be written."""
    path = tmp_path / "s.db"
    with State.open(path, schemas=[THINGS]) as state:
        add(state, "a")
        state.query("PRAGMA busy_timeout = 0")
        with State.snapshot(path) as copy:
            rows = copy._connection.execute("SELECT name FROM things")
            assert rows.fetchone() == ("a",)  # a read that is not at its end: on the file it would block the commit
            add(state, "b")
            assert copy.query("SELECT name FROM things") == [("a",)]
            assert copy.check() == []
            copy.migrate(THINGS)
            with pytest.raises(StateError, match="readonly"), copy.transaction() as tx:
                tx.execute("DELETE FROM things")
        assert state.query("SELECT name FROM things") == [("a",), ("b",)]
    with pytest.raises(StateError, match="not there"):
        State.snapshot(tmp_path / "none.db")


def test_reader_that_does_not_let_go_is_an_error_of_its_own(tmp_path: Path) -> None:
    """A commit that another's read holds up is told apart from damage; nothing was kept, and the next one goes."""
    path = tmp_path / "s.db"
    with State.open(path, schemas=[THINGS]) as state:
        state.query("PRAGMA busy_timeout = 20")
        add(state, "a")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT * FROM things").fetchall()
        with pytest.raises(StateBusyError, match="held by another process"):
            add(state, "b")
        other.execute("COMMIT")
        other.close()
        add(state, "c")
        assert state.query("SELECT name FROM things") == [("a",), ("c",)]


def test_snapshot_of_a_state_that_is_never_let_go_ends(tmp_path: Path) -> None:
    """A writer that holds the file for good gives an error, not a wait without end."""
    path = tmp_path / "s.db"
    with State.open(path, schemas=[THINGS]):
        pass
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StateBusyError):
        State.snapshot(path, busy_s=0.02)
    other.close()


def test_step_that_a_crash_cut_off_is_named_to_who_only_looks(tmp_path: Path) -> None:
    """Looking without writing can't take back what a crash left half done: it says who can."""
    path = tmp_path / "s.db"
    with State.open(path, schemas=[THINGS]):
        pass
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA cache_size = 2'); c.execute('BEGIN');"
        "[c.execute('INSERT INTO things (name) VALUES (?)', (str(n) * 500,)) for n in range(300)]; os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=False)
    assert path.with_name("s.db-journal").exists()
    with pytest.raises(StateError, match="start the device once"):
        State.snapshot(path)
    with State.open(path) as state:
        assert state.query("SELECT count(*) FROM things") == [(0,)]
    State.snapshot(path).close()


def fill(state: State) -> None:
    with state.transaction() as tx:
        for number in range(10_000):
            tx.execute("INSERT INTO things (name) VALUES (?)", (f"{number}".rjust(200),))


def test_full_database_keeps_the_state_sound(tmp_path: Path) -> None:
    """When SQLite says there is no room, that is the error; the state is as before, and lives on."""
    with State.open(tmp_path / "s.db", schemas=[THINGS]) as state:
        add(state, "a")
        state.query("PRAGMA max_page_count = 40")
        with pytest.raises(StateFullError, match="disk is full"):
            fill(state)
        assert state.query("SELECT name FROM things") == [("a",)]
        add(state, "b")
        assert state.check() == []


def test_write_that_the_kernel_refuses_keeps_the_state_sound(tmp_path: Path) -> None:
    """A limit on file size stops a real write half-way: a line, and the state is as before."""
    with State.open(tmp_path / "s.db", schemas=[THINGS]) as state:
        add(state, "a")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))
        try:
            with pytest.raises(StateError, match="disk"):
                fill(state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert state.query("SELECT name FROM things") == [("a",)]
        add(state, "b")
        assert state.check() == []
