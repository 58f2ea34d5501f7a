"""The model in a process of its own, so that its memory is the daemon's for seconds alone, and its crash never.

`python -m device.video.labels.process` reads questions from its standard input and writes answers to its standard
output. It ends with its input. Pictures go through a pipe and never touch a disk. It is not trusted: what it says is
checked, and it is told nothing of the daemon's.

    question   4 bytes, big-endian: length of what follows; JSON {"crops": [{"rows", "columns", "box": [left, top,
               width, height]}…]}, a zero byte, then the pixels of the crops in order
    answer     one line of JSON: {"kind", "confidence"}, or {"error"}. The first line, before any question, is {} once
               the model is loaded
"""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any, Final, get_args

import cv2
import numpy as np
import structlog

from device.video.dumps import forbid_dumps
from device.video.labels.best import Best, Crop, Kind, Label, shape_label
from device.video.labels.model import Detector, LabelsError, SsdDetector, choose
from device.video.motion.detector import MotionBox

log = structlog.get_logger()

COMMAND: Final = (sys.executable, "-P", "-m", "device.video.labels.process")
_MOST_BYTES: Final = 4_194_304
_MOST_LINE: Final = 4_096
_START_S, _ANSWER_S, _END_S = 30.0, 15.0, 2.0
# A machine on which it always fails is left in peace.
_MOST_FAILURES: Final = 3
_NICE: Final = 10
# What it may know of the daemon's environment: not the settings, a camera's password may be among them.
_TOLD: Final = ("PATH", "PYTHONPATH", "LANG", "LC_", "OMP_", "OPENBLAS_")
_MOST_REASON: Final = 200


class ModelProcess:
    """Labels by the model in a child process, started when first needed; by the shape rule if that fails.

    For one thread at a time.
    """

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._failures = 0

    @property
    def running(self) -> bool:
        """Whether there is a child."""
        return self._child is not None

    def label(self, best: Best) -> Label:
        """Return the model's label; waits for it, a minute at most."""
        if not best.crops or self._failures >= _MOST_FAILURES:
            return shape_label(best)
        try:
            answer = self._ask(_question(best))
            label = _label(answer)
        except (OSError, LabelsError) as error:
            self._failures += 1
            log.warning("label_model_failed", reason=str(error), tries_left=_MOST_FAILURES - self._failures)
            self.rest()
            return shape_label(best)
        self._failures = 0
        return label

    def rest(self) -> None:
        """End the child; the next label starts another."""
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                _close(pipe)
        try:
            child.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _ask(self, question: bytes) -> dict[str, Any]:
        child = self._child
        if child is None:
            child = self._child = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                # A group of its own: an interrupt at the terminal is for the daemon, and this one ends with its input.
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_told(os.environ),
                bufsize=0,
                process_group=0,
            )
            _read_line(_pipe(child.stdout), _START_S)
        _write(_pipe(child.stdin), question, _ANSWER_S)
        return _read_line(_pipe(child.stdout), _ANSWER_S)


def serve(questions: IO[bytes], answers: IO[bytes], detector: Detector) -> None:
    """Answer questions until there are no more; a damaged one ends it."""
    _say(answers, {})
    while len(head := questions.read(4)) == 4:  # noqa: PLR2004 - the length's length
        length = int.from_bytes(head)
        if length > _MOST_BYTES:
            return
        body = questions.read(length)
        if len(body) < length:
            return
        try:
            label = choose((detector.find(crop.picture), crop.box) for crop in _crops(body))
        except LabelsError as error:
            _say(answers, {"error": error.reason})
            continue
        _say(answers, {"kind": label.kind, "confidence": label.confidence})


def _told(environment: Mapping[str, str]) -> dict[str, str]:
    families = tuple(name for name in _TOLD if name.endswith("_"))
    return {name: value for name, value in environment.items() if name in _TOLD or name.startswith(families)}


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise LabelsError("its process has no pipes")
    return pipe


def _ready(pipe: IO[bytes], event: int, until: float) -> None:
    """Wait for a pipe until a moment of the monotonic clock. LabelsError after it."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, event)
        if not selector.select(max(0.0, until - time.monotonic())):
            raise LabelsError("its process gave no answer in time")


def _write(pipe: IO[bytes], question: bytes, patience_s: float) -> None:
    until, view = time.monotonic() + patience_s, memoryview(question)
    os.set_blocking(pipe.fileno(), False)
    while view:
        _ready(pipe, selectors.EVENT_WRITE, until)
        view = view[os.write(pipe.fileno(), view) :]


def _read_line(pipe: IO[bytes], patience_s: float) -> dict[str, Any]:
    until, line = time.monotonic() + patience_s, b""
    while not line.endswith(b"\n"):
        _ready(pipe, selectors.EVENT_READ, until)
        octets = os.read(pipe.fileno(), _MOST_LINE)
        if not octets or len(line) > _MOST_LINE:
            raise LabelsError("its process ended, or spoke nonsense")
        line += octets
    return _parse(line)


def _close(pipe: IO[bytes]) -> None:
    """Close a pipe whose other end may be gone."""
    try:
        pipe.close()
    except OSError as error:
        log.debug("label_pipe_closed", reason=str(error))


def _question(best: Best) -> bytes:
    crops = [
        {"rows": crop.picture.shape[0], "columns": crop.picture.shape[1], "box": list(asdict(crop.box).values())}
        for crop in best.crops
    ]
    body = json.dumps({"crops": crops}).encode() + b"\0" + b"".join(crop.picture.tobytes() for crop in best.crops)
    return len(body).to_bytes(4) + body


def _crops(body: bytes) -> list[Crop]:
    """Return what a question asks about. LabelsError if it doesn't hold together."""
    head, _, pixels = body.partition(b"\0")
    found: list[Crop] = []
    try:
        for crop in json.loads(head)["crops"]:
            rows, columns = int(crop["rows"]), int(crop["columns"])
            picture = np.frombuffer(pixels, np.uint8, count=rows * columns).reshape(rows, columns)
            left, top, width, height = (float(side) for side in crop["box"])
            box = MotionBox(left=left, top=top, width=width, height=height)
            found.append(Crop(at_us=0, worth=0.0, box=box, picture=picture))
            pixels = pixels[rows * columns :]
    except (ValueError, KeyError, TypeError) as error:
        raise LabelsError("a question is damaged") from error
    return found


def _parse(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LabelsError("its process spoke nonsense") from error
    if not isinstance(answer, dict):
        raise LabelsError("its process spoke nonsense")
    if "error" in answer:
        raise LabelsError(_plain(answer["error"]))
    return answer


def _plain(reason: object) -> str:
    """Return what the process gave as its reason, fit for a log: one short line without control characters."""
    text = reason if isinstance(reason, str) else "its process failed and didn't say why"
    return "".join(letter if letter.isprintable() else " " for letter in text[:_MOST_REASON])


def _label(answer: dict[str, Any]) -> Label:
    kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    named, confidence = answer.get("kind"), answer.get("confidence")
    kind = kinds.get(named) if isinstance(named, str) else None
    # To Python, true is a number.
    if kind is None or type(confidence) is not int or not 0 <= confidence <= 100:  # noqa: PLR2004 - percent
        raise LabelsError("its process spoke nonsense")
    return Label(kind=kind, by="model", confidence=confidence)


def _say(answers: IO[bytes], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


def main() -> None:
    """Load the model and serve; filming goes first."""
    forbid_dumps()
    os.nice(_NICE)
    cv2.setNumThreads(1)
    detector = SsdDetector()
    try:
        detector.load()
    except LabelsError as error:
        _say(sys.stdout.buffer, {"error": error.reason})
        return
    serve(sys.stdin.buffer, sys.stdout.buffer, detector)


if __name__ == "__main__":
    main()
