"""How a program of ours speaks and ends where there is no terminal: plain lines, JSON, an error as one line.

Nothing but Python's own library, so that a process that runs for months need not hold the rest.
"""

import io
import json
import os
import sys
from collections.abc import Callable
from typing import Any

INTERRUPTED = 130  # 128 and the signal's number, as shells have it
PIPE_CLOSED = 141


def say(*lines: str) -> None:
    """Print plain lines."""
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()  # who waits for a line reads a pipe


def say_json(value: Any) -> None:
    """Print one JSON document."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def run_to_end(
    action: Callable[[], object], *, name: str, user_errors: Callable[[], tuple[type[Exception], ...]]
) -> None:
    """Do it; a user's mistake ends in one line on standard error, begun with `name`, and exit status 1.

    `user_errors` is asked only when something went wrong, so that it may import what it names.
    """
    _speak_plainly()
    try:
        action()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except EOFError:
        sys.stderr.write(f"\n{name}: no answer was given, so nothing was done\n")
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read us has gone: what is still in the buffer must not fail again on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PIPE_CLOSED)
    except Exception as error:
        message = message_for_user(error, user_errors())
        if message is None:
            raise
        sys.stderr.write(f"{name}: {message}\n")
        sys.exit(1)


def _speak_plainly() -> None:
    """Make sure that something can be said: to nowhere if a stream is closed, with marks where it lacks a letter."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for the process's life
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def message_for_user(error: BaseException, user_errors: tuple[type[Exception], ...]) -> str | None:
    """Return the line for the user, or None if the error is a fault of ours.

    Of a group of errors, as tasks raise it, the first counts. What the system says of a file is the user's to mend too.
    """
    if isinstance(error, BaseExceptionGroup):
        lines = [message_for_user(one, user_errors) for one in error.exceptions]
        return None if None in lines else lines[0]
    if isinstance(error, user_errors):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename is not None else str(error.strerror or error)
    return None
