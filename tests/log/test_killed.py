"""A sequencer that is killed, for real: what it acknowledged is in the log when the next one opens it."""

import subprocess
import sys
from pathlib import Path

import pytest

from broker.log.errors import LogInUseError
from broker.log.readers import folder_reader
from broker.log.verify import verify_log
from broker.wire.envelopes import public_bytes
from tests.log.support import OPERATOR, ORIGIN, POLICY
from tests.log.test_sequencer import opened

APPENDER = """
import sys
from pathlib import Path
from tests.log.test_sequencer import opened
sequencer = opened(Path(sys.argv[1]))
while True:
    number = sequencer.size
    sequencer.append([b"entry %d" % n for n in range(number, number + 1 + number % 7)])
    print(sequencer.size, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 17, 60])
def test_what_a_killed_sequencer_acknowledged_is_there(tmp_path: Path, after: int) -> None:
    """Killed amid its work, it leaves an unlocked log that holds all it said it holds, and goes on."""
    root = Path(__file__).parents[2]
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            with_numbers = (line for line in process.stdout if line.strip().isdigit())
            acknowledged = [int(next(with_numbers)) for _ in range(after)][-1]
            with pytest.raises(LogInUseError):
                opened(tmp_path)
            process.kill()
        sequencer = opened(tmp_path)
        assert sequencer.size >= acknowledged
        assert [entry for _, entry in sequencer.entries()] == [b"entry %d" % n for n in range(sequencer.size)]
        sequencer.close()
    report = verify_log(folder_reader(tmp_path), POLICY, operator_key=public_bytes(OPERATOR))
    assert (report.origin, {finding.code for finding in report.findings}) == (ORIGIN, {"malformed"})
