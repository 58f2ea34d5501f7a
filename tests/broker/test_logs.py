"""Logs: what stands in them, and what never does."""

import io

import structlog

from broker import logs

WORDS = ("correct", "horse", "battery", "staple")


class Terminal(io.StringIO):
    """A stream where somebody reads."""

    def isatty(self) -> bool:
        return True


def test_a_fault_of_ours_shows_where_it_happened_and_not_what_was_in_the_variables() -> None:
    for stream in (Terminal(), io.StringIO()):
        logs.configure(stream=stream)
        try:
            fails(" ".join(WORDS))
        except RuntimeError:
            structlog.get_logger().exception("failed")
        assert "RuntimeError: broken" in stream.getvalue()
        assert "in fails" in stream.getvalue()
        assert "battery" not in stream.getvalue()
    structlog.reset_defaults()


def fails(passphrase: str) -> None:
    raise RuntimeError("broken" if passphrase else "")
