"""The model in a process of its own: its answers, and every way in which that process may fail."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from device.video.labels.best import Best, Crop, Gray
from device.video.labels.model import Finding, LabelsError
from device.video.labels.process import ModelProcess, serve
from device.video.motion.detector import MotionBox

MIDDLE = MotionBox(left=0.25, top=0.25, width=0.5, height=0.5)
READY = "import sys, time, os\nprint('{}', flush=True)\n"
ASKED = READY + "sys.stdin.buffer.read(4)\n"


def best(*shapes: tuple[int, int]) -> Best:
    """Crops of these rows and columns, each pixel saying which crop it is of."""
    crops = tuple(
        Crop(at_us=0, worth=1.0, box=MIDDLE, picture=np.full(shape, number + 1, dtype=np.uint8))
        for number, shape in enumerate(shapes)
    )
    return Best(crops=crops, looks=(), aspect=1.0)


def child(code: str) -> ModelProcess:
    return ModelProcess((sys.executable, "-c", code))


class Seer:
    """A detector that sees a dog in each picture, and keeps what it saw; fails where it is told to."""

    def __init__(self, *, fail: bool = False) -> None:
        self.fail = fail
        self.seen: list[Gray] = []

    def find(self, picture: Gray) -> list[Finding]:
        if self.fail:
            raise LabelsError("blind")
        self.seen.append(picture.copy())
        return [Finding(kind="animal", score=0.7, box=MIDDLE)]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelProcess]:
    model = ModelProcess()
    yield model
    model.rest()


def test_the_real_child_answers(model: ModelProcess) -> None:
    """The model itself, in its process, looks at gray walls and knows nothing; then rests, and wakes again."""
    asked = best((200, 300), (64, 64), (300, 300))
    assert model.label(asked).by == "model"
    assert model.running
    model.rest()
    assert not model.running
    assert (model.label(asked).kind, model.label(asked).by) == ("unknown", "model")


def test_nothing_to_look_at_starts_nothing() -> None:
    """Without a crop the shape rule speaks, and no process is started."""
    process = ModelProcess()
    assert process.label(best()).by == "shape"
    assert not process.running


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("", id="ends at once"),
        pytest.param('print(\'{"error": "no weights"}\', flush=True)', id="can't load"),
        pytest.param(READY, id="ends when asked"),
        pytest.param(ASKED + "print('garbage', flush=True)", id="garbage"),
        pytest.param(ASKED + "print('[1]', flush=True)", id="not an object"),
        pytest.param(ASKED + 'print(\'{"kind": "ghost", "confidence": 5}\', flush=True)', id="unheard of"),
        pytest.param(ASKED + 'print(\'{"kind": "person", "confidence": 500}\', flush=True)', id="too sure"),
        pytest.param(ASKED + 'print(\'{"kind": [], "confidence": 5}\', flush=True)', id="no text"),
        pytest.param(ASKED + 'print(\'{"kind": "person", "confidence": true}\', flush=True)', id="no number"),
        pytest.param(ASKED + "print('[' * 4000, flush=True)", id="too deep"),
        pytest.param(ASKED + "print('x' * 100_000, flush=True)", id="endless line"),
        pytest.param(ASKED + "os.kill(os.getpid(), 9)", id="killed"),
    ],
)
def test_a_broken_child_is_the_shape_rules_turn(code: str) -> None:
    """Whatever the process does wrong, a label comes from the shape, and no process is left."""
    process = child(code)
    assert process.label(best((64, 64))).by == "shape"
    assert not process.running
    assert process._failures == 1


def test_a_machine_on_which_it_fails_is_left_in_peace() -> None:
    """After three failures in a row no further process is started."""
    process = ModelProcess(("/nonexistent/python",))
    for _ in range(3):
        assert process.label(best((64, 64))).by == "shape"
    process._command = (sys.executable, "-c", READY)
    assert process.label(best((64, 64))).by == "shape"
    assert not process.running


def test_a_stuck_child_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that never reads its input, nor answers, is ended."""
    monkeypatch.setattr("device.video.labels.process._ANSWER_S", 0.05)
    monkeypatch.setattr("device.video.labels.process._END_S", 0.05)
    process = child(READY + "time.sleep(3600)")
    assert process.label(best((300, 300), (300, 300), (300, 300))).by == "shape"
    assert not process.running


def test_an_interrupt_at_the_terminal_is_not_for_the_child() -> None:
    """The process is in a group of its own."""
    process = child(ASKED + 'print(\'{"kind": "person", "confidence": 90}\', flush=True)\nsys.stdin.read()')
    assert process.label(best((64, 64))).kind == "person"
    running = process._child
    assert running is not None
    assert os.getpgid(running.pid) == running.pid
    os.kill(running.pid, signal.SIGKILL)
    process.rest()


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_no_core_file_is_ever_written_of_the_child(model: ModelProcess) -> None:
    """Its limit is zero, and where the system hands cores to a program it may not be dumped either."""
    model.label(best((64, 64)))
    running = model._child
    assert running is not None
    limits = Path(f"/proc/{running.pid}/limits").read_text().splitlines()
    assert [line.split()[4:6] for line in limits if line.startswith("Max core file")] == [["0", "0"]]
    code = "import ctypes\nfrom device.video.labels import process\nprocess.main()\n"
    code += "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    done = subprocess.run([sys.executable, "-c", code], input="", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["{}", "0"]


def test_the_child_is_told_nothing_that_it_does_not_need(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of the environment it gets paths, language and threads, no settings; what it says on standard error is lost."""
    monkeypatch.setenv("LATCHSTRING_CAMERA__SOURCE", "rtsp://me:secret@camera/")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    says = "print('noise', file=sys.stderr, flush=True)\n"
    says += "print('{\"error\": \"' + ' '.join(sorted(os.environ)) + '\"}', flush=True)"
    with capture_logs() as logs:
        child(ASKED + says).label(best((64, 64)))
    told = logs[0]["reason"].removeprefix("labels: ").split()
    assert {"LC_TIME", "OMP_NUM_THREADS", "PATH"} <= set(told)
    assert all(name in {"PATH", "PYTHONPATH", "LANG"} or name.startswith(("LC_", "OMP_", "OPENBLAS_")) for name in told)
    assert "noise" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("\x1b[31mred\nfake" + "x" * 3000, " [31mred fake" + "x" * 187),
        ("\ud800", " "),
        (["[" * 9], "its process failed and didn't say why"),
    ],
)
def test_what_the_child_gives_as_its_reason_is_one_short_line(error: object, told: str) -> None:
    """Neither colours nor lines of its own nor half letters get into the log."""
    with capture_logs() as logs:
        child(ASKED + f"print({json.dumps({'error': error})!r}, flush=True)").label(best((64, 64)))
    assert [line["reason"] for line in logs] == [f"labels: {told}"]


def _asked(found: Best, seer: Seer) -> list[dict[str, object]]:
    """Return what a server says to the very bytes that a ModelProcess writes."""
    from device.video.labels.process import _question  # noqa: PLC0415 - what is between the two is theirs

    answers = io.BytesIO()
    serve(io.BytesIO(_question(found)), answers, seer)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


@given(st.lists(st.tuples(st.integers(1, 80), st.integers(1, 80)), max_size=3))
def test_pictures_arrive_as_they_were(shapes: list[tuple[int, int]]) -> None:
    """Any crops come out of the pipe as they went in, in order."""
    seer, asked = Seer(), best(*shapes)
    first, answer = _asked(asked, seer)
    assert first == {}
    assert answer["kind"] == ("animal" if shapes else "unknown")
    assert len(seer.seen) == len(shapes)
    assert all(np.array_equal(a, b.picture) for a, b in zip(seer.seen, asked.crops, strict=True))


def test_a_blind_detector_is_told() -> None:
    """What goes wrong with one question is answered; the next may be fine."""
    assert _asked(best((8, 8)), Seer(fail=True)) == [{}, {"error": "blind"}]


@given(st.binary(max_size=200))
def test_damaged_questions_end_it(question: bytes) -> None:
    """Bytes that are no question are answered by an error or by the end, never by a label out of nothing."""
    answers = io.BytesIO()
    serve(io.BytesIO(len(question).to_bytes(4) + question), answers, Seer())
    said = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert said[0] == {}
    assert said[1:] == [{"error": "a question is damaged"}]


def test_a_question_without_end_is_not_read() -> None:
    """A length beyond all reason ends the server before anything is read."""
    answers = io.BytesIO()
    serve(io.BytesIO(b"\xff\xff\xff\xff" + bytes(100)), answers, Seer())
    assert answers.getvalue() == b"{}\n"
