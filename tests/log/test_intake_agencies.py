"""Who may ask: admissions, keys that rotate, revocations, and what is counted against an agency."""

from broker.log.history.book import Book
from broker.log.history.query import Status
from broker.wire.envelopes import public_bytes
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US, Limits
from tests.log.deciding import FIRE, code_of, put
from tests.log.support import (
    NOW_US,
    POLICE,
    admission,
    asked,
    key_of,
    refusals,
    revocation,
    update,
)

LIMITS = Limits()


def test_keys_rotate_forward_only(book: Book) -> None:
    """A newer record replaces the key; the old key and an older record count no more."""
    kept_back = admission(now_us=NOW_US - HOUR_US, agency_key=public_bytes(key_of("stolen")))
    put(book, admission(now_us=NOW_US, agency_key=public_bytes(FIRE)))
    assert code_of(asked(), book) == "signature"
    put(book, asked(key=FIRE))
    assert code_of(kept_back, book) == "stale-admission"
    assert code_of(admission(now_us=NOW_US + HOUR_US), book) == "posted-ahead"
    assert [record.index for record in book.standing("springfield-pd")] == [0, 1]


def test_a_revoked_agency_says_nothing_any_more(book: Book) -> None:
    """From the entry of its revocation on its key is refused, and all that it had open is closed."""
    leaf = put(book, asked())
    done = put(book, asked(case="another"))
    put(book, update(done, "resolved"))
    assert code_of(revocation(key=POLICE), book) == "signature"
    assert code_of(revocation("shelbyville-pd"), book) == "unknown-agency"
    assert code_of(revocation(now_us=NOW_US - 2 * DAY_US), book) == "posted-late"
    assert code_of(revocation(now_us=NOW_US - HOUR_US), book) == "posted-late"
    put(book, revocation())
    assert book.agency("springfield-pd") is None
    assert book.status(leaf, NOW_US) is Status.REVOKED
    assert book.status(done, NOW_US) is Status.RESOLVED
    assert code_of(asked(case="new"), book) == "revoked"
    assert code_of(update(leaf), book) == "revoked"
    assert code_of(revocation(now_us=NOW_US + 1), book) == "unknown-agency"


def test_an_admission_can_be_revoked_at_once(book: Book) -> None:
    """Also one whose record says that it was made a moment later, by a clock that is ahead."""
    put(book, admission("shelbyville-pd", agency_key=public_bytes(FIRE), now_us=NOW_US + MINUTE_US))
    put(book, revocation("shelbyville-pd"))
    assert code_of(asked(agency="shelbyville-pd", key=FIRE), book) == "revoked"


def test_a_revocation_dated_ahead_leaves_nothing_open(book: Book) -> None:
    """Intake takes none; in a log that holds one all the same, what the agency had open is closed."""
    leaf = put(book, asked())
    book.apply(book.size, revocation(now_us=NOW_US + 400 * DAY_US))
    assert book.status(leaf, NOW_US) is Status.REVOKED


def test_a_revoked_key_never_comes_back(book: Book) -> None:
    """An agency is admitted again with another key only, and what was closed stays closed."""
    leaf = put(book, asked())
    put(book, revocation())
    assert code_of(admission(now_us=NOW_US - 1, agency_key=public_bytes(FIRE)), book) == "stale-admission"
    assert code_of(admission(now_us=NOW_US + 1), book) == "revoked-key"
    put(book, admission(now_us=NOW_US + 1, agency_key=public_bytes(FIRE)))
    assert code_of(asked(case="new"), book) == "signature"
    put(book, asked(case="new", key=FIRE))
    assert book.status(leaf, NOW_US) is Status.REVOKED
    put(book, revocation(now_us=NOW_US + 2))
    assert code_of(admission(now_us=NOW_US + 3), book) == "revoked-key"
    assert code_of(admission(now_us=NOW_US + 3, agency_key=public_bytes(FIRE)), book) == "revoked-key"


def test_a_key_that_was_given_up_never_comes_back(book: Book) -> None:
    """An old application, admitted by mistake, brings no old key back; and one that changes nothing is no entry."""
    assert code_of(admission(now_us=NOW_US - HOUR_US, evidence="Another letter"), book) == "unchanged"
    put(book, admission(now_us=NOW_US - HOUR_US, agency_key=public_bytes(FIRE)))
    assert code_of(admission(now_us=NOW_US), book) == "replaced-key"
    put(book, admission(now_us=NOW_US, agency_key=public_bytes(FIRE), name="Springfield Police"))
    put(book, revocation(now_us=NOW_US + 1))
    assert code_of(admission(now_us=NOW_US + 2), book) == "replaced-key"


def test_an_agency_is_reached_in_its_own_domain(book: Book) -> None:
    """A contact elsewhere is no official one."""
    assert code_of(admission("shelbyville-pd", contact="chief@mail.example"), book) == "contact"


def test_refusals_are_counted_once(book: Book) -> None:
    """Only the operator counts them, for an agency that was admitted, and no stretch of time twice."""
    put(book, refusals(area=3, window=1))
    assert code_of(refusals(area=4), book) == "overlap"
    assert code_of(refusals("shelbyville-pd"), book) == "unknown-agency"
    assert code_of(refusals(since_us=NOW_US, until_us=NOW_US + 6 * MINUTE_US), book) == "posted-ahead"
    put(book, refusals(since_us=NOW_US, until_us=NOW_US + 1, area=1))
    assert book.record_of("springfield-pd", now_us=NOW_US).refused == {"area": 4, "window": 1}
