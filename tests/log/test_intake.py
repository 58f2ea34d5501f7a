"""What may be logged: every rule of the design's section 6, and who may say what, each with its code."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.log.history.book import Book
from broker.log.history.entries import AnyRecord, Posted
from broker.log.history.query import Status
from broker.log.intake import Accepted, Duplicate, Refused, decide
from broker.wire.encoding import WireError, canonical
from broker.wire.envelopes import public_bytes, sign_envelope
from broker.wire.records import Receipt, Request, Revocation, Update
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US, Limits
from tests.log.deciding import FIRE, code_of, decided, put
from tests.log.support import (
    NOW_US,
    OPERATOR,
    POLICE,
    admission,
    asked,
    leaf_of,
    request,
    revocation,
    update,
)

LIMITS = Limits()
CLOSINGS: list[list[str]] = [[], ["resolved"], ["withdrawn"], ["resolved", "withdrawn"]]


RULES: list[tuple[str, dict[str, Any]]] = [
    ("window", {"start": NOW_US - HOUR_US, "end": NOW_US - HOUR_US + 15 * MINUTE_US - 1}),
    ("window", {"start": NOW_US - 13 * HOUR_US, "end": NOW_US - HOUR_US + 1}),
    ("window", {"start": NOW_US - HOUR_US, "end": NOW_US - 2 * HOUR_US}),
    ("window-past", {"end": NOW_US + 1}),
    ("look-back", {"start": NOW_US - 45 * DAY_US - 1, "end": NOW_US - 45 * DAY_US + HOUR_US}),
    ("area", {"area": {"lat_e7": 0, "lon_e7": 0, "radius_m": 143}}),
    ("area", {"area": {"lat_e7": 0, "lon_e7": 0, "radius_m": 643}}),
    ("incident", {"incident": "suspicious-person"}),
    ("contact", {"contact": "detective@gmail.example.com"}),
    ("contact", {"contact": "detective@notspringfield.example.gov"}),
    ("retention", {"retention_days": 181}),
    ("retention", {"retention_days": 0}),
    ("excludes", {"excludes": ("lawful-assembly",)}),
    ("expires", {"expires_at": NOW_US + 30 * DAY_US + 1}),
    ("expires", {"expires_at": NOW_US}),
    ("devices", {"devices": ("camera", "camera")}),
    ("posted-ahead", {"posted_at": NOW_US + 5 * MINUTE_US + 1}),
    ("posted-late", {"posted_at": NOW_US - 5 * MINUTE_US - 1}),
    ("unknown-agency", {"agency": "shelbyville-pd"}),
]


@pytest.mark.parametrize(("code", "changes"), RULES, ids=[f"{code}-{at}" for at, (code, _) in enumerate(RULES)])
def test_a_request_that_breaks_a_rule_is_refused_with_its_code(book: Book, code: str, changes: dict[str, Any]) -> None:
    """Each published limit is enforced at intake."""
    assert code_of(asked(**changes), book) == code


@pytest.mark.parametrize(
    "changes",
    [
        {"start": NOW_US - HOUR_US, "end": NOW_US - HOUR_US + 15 * MINUTE_US},
        {"start": NOW_US - 12 * HOUR_US, "end": NOW_US},
        {"start": NOW_US - 45 * DAY_US, "end": NOW_US - 45 * DAY_US + HOUR_US},
        {"area": {"lat_e7": 0, "lon_e7": 0, "radius_m": 144}},
        {"area": {"lat_e7": 0, "lon_e7": 0, "radius_m": 642}},
        {"contact": "detective@cases.springfield.example.gov"},
        {"retention_days": 180},
        {"expires_at": NOW_US + 30 * DAY_US},
        {"devices": ("doorbell",)},
        {"posted_at": NOW_US - 5 * MINUTE_US},
    ],
)
def test_a_request_at_a_limit_is_accepted(book: Book, changes: dict[str, Any]) -> None:
    """A limit is the last value that may be asked for."""
    assert code_of(asked(**changes), book) is None


def test_a_case_is_posted_twice_at_most(book: Book) -> None:
    """The third post of a case is refused, also after a withdrawal; another case is free."""
    first = put(book, asked(description="First."))
    put(book, update(first))
    put(book, asked(description="Second."))
    assert code_of(asked(description="Third."), book) == "posts-per-case"
    put(book, asked(case="26-009999"))


def test_what_is_no_strict_envelope_is_malformed(book: Book) -> None:
    """Anything that is not one canonical envelope within its size is refused before it is looked at further."""
    good = asked()
    long = sign_envelope(b"x" * 60_000, Request.payload_type(), POLICE)
    number_time = request().model_dump(mode="json") | {"posted_at": NOW_US}
    for bad in (b"", b"{}", good + b"\n", b" " + good, long, good.replace(b"payloadType", b"payloadtype"), b"\xff" * 9,
                sign_envelope(b"{}", Request.payload_type(), POLICE),
                sign_envelope(canonical(number_time), Request.payload_type(), POLICE),
                sign_envelope(request().payload() + b" ", Request.payload_type(), POLICE)):  # fmt: skip
        assert code_of(bad, book) == "malformed", bad[:80]


def test_the_log_takes_no_other_records(book: Book) -> None:
    """A receipt, say, has no place in the log, whoever signed it."""
    receipt = Receipt(request="0" * 64, bundle_bytes=1, bundle_sha256="0" * 64, received_at=NOW_US)
    assert code_of(receipt.sign(OPERATOR), book) == "type"


def test_only_the_right_key_may_speak(book: Book) -> None:
    """An agency record needs the operator's key, a request and an update the agency's."""
    leaf = put(book, asked())
    assert code_of(admission("shelbyville-pd", key=POLICE), book) == "signature"
    assert code_of(asked(key=FIRE, case="2"), book) == "signature"
    assert code_of(asked(key=OPERATOR, case="2"), book) == "signature"
    assert code_of(update(leaf, key=FIRE), book) == "signature"
    forged = asked(case="2").replace(b'"sig":"', b'"sig":"AAAA')
    assert code_of(forged[:-6] + forged[-2:], book) == "malformed"


def test_a_flipped_bit_in_what_was_signed_is_refused(book: Book) -> None:
    """An envelope whose payload was edited under an old signature is refused."""
    honest, other = asked(case="2"), request(case="3").payload()
    signed = sign_envelope(other, Request.payload_type(), POLICE)
    mixed = honest.split(b'"signatures"')[1], signed.split(b'"signatures"')[0]
    assert code_of(mixed[1] + b'"signatures"' + mixed[0], book) == "signature"


def test_the_same_envelope_again_is_the_same_entry(book: Book) -> None:
    """Sending twice, or a replay by anybody at any time, gives the index that is there already."""
    envelope = asked()
    leaf = put(book, envelope)
    assert decided(envelope, book) == Duplicate(1, leaf)
    assert decided(envelope, book, now_us=NOW_US + 90 * DAY_US) == Duplicate(1, leaf)
    assert decided(admission(), book) == Duplicate(0, leaf_of(admission()))


def test_updates_follow_their_request(book: Book) -> None:
    """Only the request's agency may resolve or withdraw it, now, while it is open; and nothing follows a withdrawal."""
    put(book, admission("shelbyville-pd", agency_key=public_bytes(FIRE)))
    leaf = put(book, asked())
    assert code_of(update("0" * 64), book) == "unknown-request"
    assert code_of(update(leaf, agency="shelbyville-pd", key=FIRE), book) == "not-yours"
    assert code_of(update(leaf, agency="ogdenville-pd"), book) == "not-yours"
    assert code_of(update(leaf, now_us=NOW_US - 6 * MINUTE_US), book) == "posted-late"
    assert code_of(update(leaf, now_us=NOW_US + 6 * MINUTE_US), book) == "posted-ahead"
    after = NOW_US + 14 * DAY_US
    assert code_of(update(leaf, now_us=after), book, now_us=after) == "closed"
    put(book, update(leaf, "resolved"))
    assert code_of(update(leaf, "resolved", note="Again."), book) == "closed"
    put(book, update(leaf, "withdrawn"))
    assert code_of(update(leaf, "withdrawn", note="Again."), book) == "closed"
    assert code_of(update(leaf, "resolved", note="After all."), book) == "closed"


def test_an_update_is_signed_by_the_key_in_force(book: Book) -> None:
    """After a rotation the old key says nothing any more, not even of what was posted under it: it may have leaked."""
    old = put(book, asked())
    put(book, admission(now_us=NOW_US, agency_key=public_bytes(FIRE)))
    assert code_of(update(old), book) == "signature"
    put(book, update(old, key=FIRE))


def test_a_resolved_request_may_be_answered_and_withdrawn(book: Book) -> None:
    """An answer changes nothing of what a request is; a withdrawal does, and ends it."""
    leaf = put(book, asked())
    put(book, update(leaf, "answered", note="Two owners shared footage."))
    assert book.status(leaf, NOW_US) is Status.OPEN
    put(book, update(leaf, "resolved"))
    put(book, update(leaf, "answered", note="A third one did."))
    assert book.status(leaf, NOW_US) is Status.RESOLVED
    put(book, update(leaf, "withdrawn"))
    assert code_of(update(leaf, "answered", note="And a fourth."), book) == "closed"


def test_the_last_update_of_a_request_can_only_be_its_withdrawal(book: Book) -> None:
    """However much an agency has said, there is room to withdraw, and for no more than that."""
    leaf = put(book, asked())
    for number in range(LIMITS.updates_per_request - 1):
        put(book, update(leaf, "answered", note=f"Answer {number}."))
    assert code_of(update(leaf, "answered", note="One more."), book) == "updates"
    assert code_of(update(leaf, "resolved"), book) == "updates"
    put(book, update(leaf, "withdrawn"))


def test_an_agency_has_only_so_many_requests_open(book: Book) -> None:
    """Each costs every device some space: beyond the limit the next has to wait until one is closed."""
    limits = Limits(open_per_agency=3)
    leaves = [put(book, asked(case=str(number))) for number in range(3)]
    refused = decide(asked(case="4"), book, operator_key=public_bytes(OPERATOR), limits=limits, now_us=NOW_US)
    assert isinstance(refused, Refused)
    assert refused.code == "open-requests"
    put(book, update(leaves[0], "withdrawn"))
    accepted = decide(asked(case="4"), book, operator_key=public_bytes(OPERATOR), limits=limits, now_us=NOW_US)
    assert isinstance(accepted, Accepted)


def test_an_agency_posts_only_so_much_a_day(book: Book) -> None:
    """Posting and withdrawing without end fills everybody's disk, though never more than one request is open."""
    limits = Limits(posts_per_day=3)

    def decision(case: str, now_us: int) -> Accepted | Duplicate | Refused:
        envelope = asked(case=case, now_us=now_us)
        return decide(envelope, book, operator_key=public_bytes(OPERATOR), limits=limits, now_us=now_us)

    for case in ("1", "2", "3"):
        leaf = put(book, asked(case=case))
        put(book, update(leaf))
    refused = decision("4", NOW_US + HOUR_US)
    assert isinstance(refused, Refused)
    assert refused.code == "posts-per-day"
    assert isinstance(decision("4", NOW_US + DAY_US), Accepted)


def test_the_book_knows_what_a_request_is_at_any_time(book: Book) -> None:
    """Open until it expires; resolved and withdrawn as soon as that is logged."""
    leaf = put(book, asked())
    posted = book.request(leaf)
    assert posted is not None
    assert posted.admission == book.agency("springfield-pd")
    assert book.status(leaf, posted.request.expires_at - 1) is Status.OPEN
    assert book.status(leaf, posted.request.expires_at) is Status.EXPIRED
    put(book, update(leaf, "resolved"))
    assert book.status(leaf, NOW_US) is Status.RESOLVED
    put(book, update(leaf))
    assert book.status(leaf, NOW_US) is Status.WITHDRAWN
    assert [updated.update.kind for updated in book.updates_of(leaf)] == ["resolved", "withdrawn"]


def test_the_book_takes_entries_in_order_only(book: Book) -> None:
    """An entry out of turn, or one that nothing before it allows, raises and changes nothing."""
    with pytest.raises(WireError):
        book.apply(5, asked())
    with pytest.raises(WireError):
        book.apply(1, asked(agency="shelbyville-pd"))
    with pytest.raises(WireError):
        book.apply(1, update("0" * 64))
    book.apply(1, asked())
    with pytest.raises(WireError):
        book.apply(2, asked())
    with pytest.raises(WireError):
        book.status("0" * 64, NOW_US)
    assert (book.size, book.count()) == (2, 1)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_history_gets_around_the_rules(data: st.DataObject) -> None:
    """Whatever agencies submit in any order, the log holds no third post, no late update and no stranger's word."""
    book, now_us = Book(), NOW_US
    leaves: list[str] = []
    for _ in range(data.draw(st.integers(1, 25))):
        now_us += data.draw(st.sampled_from([0, MINUTE_US, 3 * DAY_US]))
        agency, key = data.draw(st.sampled_from([("springfield-pd", POLICE), ("shelbyville-pd", FIRE)]))
        signer = data.draw(st.sampled_from([key, key, key, POLICE, FIRE]))
        match data.draw(st.sampled_from(["agency", "request", "request", "request", "update", "revocation"])):
            case "agency":
                envelope = admission(agency, agency_key=public_bytes(key), now_us=now_us)
            case "revocation":
                envelope = revocation(agency, now_us=now_us)
            case "request":
                case = data.draw(st.sampled_from(["1", "2"]))
                note = f"{data.draw(st.integers(0, 3))} seen."
                envelope = asked(key=signer, agency=agency, case=case, description=note, now_us=now_us)
            case _:
                leaf = data.draw(st.sampled_from([*leaves, "0" * 64]))
                kind = data.draw(st.sampled_from(["answered", "resolved", "withdrawn"]))
                envelope = update(leaf, kind, agency=agency, key=signer, now_us=now_us)
        decision = decided(envelope, book, now_us=now_us)
        size = book.size
        if isinstance(decision, Accepted):
            entry = book.apply(size, envelope)
            if isinstance(entry, Posted):
                leaves.append(entry.leaf)
            check_accepted(book, decision.record, now_us)
            assert decided(envelope, book, now_us=now_us) == Duplicate(size, decision.leaf)
    for posted in book.requests():
        assert posted.post <= 2
        kinds = [str(updated.update.kind) for updated in book.updates_of(posted.leaf)]
        assert [kind for kind in kinds if kind != "answered"] in CLOSINGS
        assert "withdrawn" not in kinds[:-1]


def check_accepted(book: Book, record: AnyRecord, now_us: int) -> None:
    assert (book.agency(record.agency) is None) == isinstance(record, Revocation)
    if isinstance(record, Update):
        posted = book.request(record.request)
        assert posted is not None
        assert posted.request.agency == record.agency
        assert posted.request.expires_at > now_us
