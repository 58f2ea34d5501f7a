"""Intake for tests: decided at one moment, with the usual limits."""

from broker.log.history.book import Book
from broker.log.intake import Accepted, Duplicate, Refused, decide
from broker.wire.envelopes import public_bytes
from broker.wire.rules import Limits
from tests.log.support import (
    NOW_US,
    OPERATOR,
    key_of,
)

FIRE = key_of("fire")


def decided(envelope: bytes, book: Book, *, now_us: int = NOW_US) -> Accepted | Duplicate | Refused:
    return decide(envelope, book, operator_key=public_bytes(OPERATOR), limits=Limits(), now_us=now_us)


def code_of(envelope: bytes, book: Book, *, now_us: int = NOW_US) -> str | None:
    """The code of a refusal, None for anything else."""
    decision = decided(envelope, book, now_us=now_us)
    return decision.code if isinstance(decision, Refused) else None


def put(book: Book, envelope: bytes, *, now_us: int = NOW_US) -> str:
    """Log an envelope that intake must accept."""
    decision = decided(envelope, book, now_us=now_us)
    assert isinstance(decision, Accepted), decision
    book.apply(book.size, envelope)
    return decision.leaf
