"""What commands share at the terminal: JSON on demand, a sign that something goes on, a command line and how it ends.

The commands of both sides may use it; it knows no room.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console

from .plain import message_for_user, run_to_end, say, say_json

__all__ = ["AsJson", "message_for_user", "run_app", "say", "say_json", "working"]

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for programs.")]


def working(what: str, *, as_json: bool) -> AbstractContextManager[Any]:
    """Show that something goes on, on the terminal alone."""
    console = Console(stderr=True)
    return nullcontext() if as_json or not console.is_terminal else console.status(what)


def run_app(
    app: App,
    arguments: Sequence[str] | None = None,
    *,
    name: str,
    user_errors: Callable[[], tuple[type[Exception], ...]],
) -> None:
    """Run a command line; it ends as `run_to_end` says."""
    run_to_end(lambda: app(arguments), name=name, user_errors=user_errors)
