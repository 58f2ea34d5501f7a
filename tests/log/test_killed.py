"""A sequencer that is killed, for real: what it acknowledged is in the log when the next one opens it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.log.errors import LogInUseError
from broker.log.readers import folder_reader
from broker.log.sequencer import Sequencer
from broker.log.storage.folder import FolderStorage
from broker.log.verify import verify_log
from broker.wire.envelopes import public_bytes
from tests.log.support import OPERATOR, ORIGIN, POLICY

APPENDER = """
import sys
from pathlib import Path
from broker.log.sequencer import Sequencer
from broker.log.storage.folder import FolderStorage
from tests.log.support import OPERATOR, ORIGIN
sequencer = Sequencer(FolderStorage(Path(sys.argv[1])), key=OPERATOR, origin=ORIGIN)
sequencer.open()
while True:
    number = sequencer.size
    sequencer.append([b"entry %d" % n for n in range(number, number + 1 + number % 97)])
    print("head", sequencer.size, flush=True)
    sequencer.publish(sequencer.head_note)
    print("published", sequencer.size, flush=True)
"""


@contextmanager
def appending(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", Iterator[tuple[str, int]]]]:
    """Run a sequencer that appends and publishes without end; gives it, and what it says."""
    with subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(folder)], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        words = (line.split() for line in process.stdout)
        yield process, ((said[0], int(said[1])) for said in words if said[0] in {"head", "published"})


def opened(folder: Path) -> Sequencer:
    sequencer = Sequencer(FolderStorage(folder), key=OPERATOR, origin=ORIGIN)
    sequencer.open()
    return sequencer


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 2, 37, 80])
def test_what_a_killed_sequencer_acknowledged_is_there(tmp_path: Path, after: int) -> None:
    """Killed amid a batch or a publication, it leaves an unlocked log that holds all it said, and goes on."""
    for _ in range(2):
        with appending(tmp_path) as (process, said):
            told = dict(next(said) for _ in range(after))
            with pytest.raises(LogInUseError, match="another 'latchstring broker run'"):
                opened(tmp_path)
            process.kill()
        sequencer = opened(tmp_path)
        assert told.get("published", 0) <= sequencer.published_size <= sequencer.size
        assert sequencer.size >= told["head"]
        assert [entry for _, entry in sequencer.entries()] == [b"entry %d" % n for n in range(sequencer.size)]
        sequencer.publish(sequencer.head_note)
        sequencer.close()
    report = verify_log(folder_reader(tmp_path), POLICY, operator_key=public_bytes(OPERATOR))
    assert (report.origin, {finding.code for finding in report.findings}) == (ORIGIN, {"malformed"})
