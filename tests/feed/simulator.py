"""The operator's service as the feed sees it, over a book that is filled directly: no log, no signatures, any size."""

import random
from collections.abc import Callable, Sequence

from broker.log.cosigned.panel import CosignerStatus
from broker.log.history.book import Book
from broker.wire.envelopes import public_bytes, sign_envelope
from broker.wire.notes import VerifierKey
from broker.wire.proofs import make_policy
from broker.wire.records import Request
from broker.wire.rules import HOUR_US, Limits
from tests.feed.support import AGENCIES, agency_admission, agency_request
from tests.log.support import LOG_VERIFIER, NOW_US, OPERATOR, key_of, update


class SimulatedLog:
    """A log of which so many entries are published."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.unpublished = 0
        self.origin = LOG_VERIFIER.name
        self.verifier: VerifierKey = LOG_VERIFIER

    @property
    def published_size(self) -> int:
        return self._book.size - self.unpublished

    async def published(self) -> bytes | None:
        return None

    async def entry(self, index: int) -> bytes:
        raise LookupError(index)


class SimulatedService:
    """A service without a log behind it; `log.unpublished` holds entries back."""

    def __init__(
        self, book: Book, *, now_us: Callable[[], int] = lambda: NOW_US, url: str = "http://feed.example.org"
    ) -> None:
        self.book = book
        self.log = SimulatedLog(book)
        self.limits = Limits()
        self.url = url
        self.operator_key = public_bytes(OPERATOR)
        self.policy = make_policy(LOG_VERIFIER)
        self.cosigners: Sequence[CosignerStatus] = ()
        self.now_us = now_us


def fill(book: Book, count: int, *, seed: int = 1, step_us: int = HOUR_US) -> list[str]:
    """Fill a book with `count` requests, one every `step_us`, the last of them now; one in nine is withdrawn.

    Returns the leaf hashes, oldest first. What is signed is not: the book takes no notice of signatures.
    """
    chance = random.Random(seed)
    names = sorted(AGENCIES)
    leaves: list[str] = []
    with book.batch():
        for agency in names:
            book.apply(book.size, agency_admission(agency, now_us=NOW_US - (count + 2) * step_us))
        for number in range(count):
            at_us = NOW_US - (count - number) * step_us
            agency = names[min(int(chance.expovariate(1.0)), 3)]
            request = agency_request(agency, at_us=at_us, chance=chance, number=number)
            entry = book.apply(book.size, _sealed(request))
            leaves.append(entry.leaf)
            if number % 9 == 8:
                book.apply(book.size, update(entry.leaf, now_us=at_us, key=_KEY, agency=agency))
    return leaves


_KEY = key_of("police")


def _sealed(request: Request) -> bytes:
    return sign_envelope(request.payload(), request.payload_type(), _KEY)
