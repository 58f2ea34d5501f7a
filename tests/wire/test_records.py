"""Records: strict, with one spelling, safe to show, and bound to their type and key."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.deletions import Deletion, DeletionReceipt, DeletionsAsked
from broker.wire.encoding import WireError, canonical, parse_canonical, parse_time, to_base64
from broker.wire.envelopes import public_bytes, sign_envelope
from broker.wire.records import (
    Agency,
    Approval,
    Fetch,
    FileDigest,
    Receipt,
    Record,
    RefusalCount,
    Refusals,
    Release,
    Request,
    Revocation,
    SegmentStatement,
    SharedClip,
    Update,
    Upload,
)
from broker.wire.rules import DAY_US
from tests.wire.support import NOW_US, WEAK_KEYS, agency, key_of, request

KEY = key_of("police")
PUBLIC = public_bytes(KEY)
DIGEST = "0123456789abcdef" * 4
CLIP = SharedClip(
    file="clip-1.mp4", start=NOW_US, end=NOW_US + 5, first_seq=0, last_seq=2, transformations=("blurred faces",)
)
FILE = FileDigest(name="segments.json", bytes=3, sha256=DIGEST)
RECIPIENT = "age1" + "q" * 58
COUNT = RefusalCount(code="window", count=3)

EVERY: list[Record] = [
    agency(),
    request(),
    Update(agency="pd", request=DIGEST, kind="withdrawn", note="Found.", at=NOW_US),
    SegmentStatement(device="door", camera="main", seq=7, start=NOW_US, duration_us=5, sha256=DIGEST, prev=DIGEST),
    Release(request=DIGEST, device="door", device_key=PUBLIC, camera="main", kind="doorbell", recipient=RECIPIENT,
            clips=(CLIP,), files=(FILE,), made_at=NOW_US),
    Approval(request=DIGEST, device="door", recipient=RECIPIENT, clips=(CLIP,), files=(FILE,), bundle_bytes=9,
             bundle_sha256=DIGEST, approved_at=NOW_US),
    Upload(request=DIGEST, bundle_bytes=9, bundle_sha256=DIGEST, key=PUBLIC),
    Receipt(request=DIGEST, bundle_bytes=9, bundle_sha256=DIGEST, received_at=NOW_US),
    Fetch(agency="pd", request=DIGEST, at=NOW_US),
    Revocation(agency="pd", at=NOW_US, revoked_by="The operator", reason="The key was lost."),
    Refusals.model_validate({"agency": "pd", "since": NOW_US, "until": NOW_US, "counts": (COUNT,)}),
    Deletion(request=DIGEST, bundle_sha256=DIGEST, key=PUBLIC, at=NOW_US),
    DeletionReceipt(request=DIGEST, bundle_sha256=DIGEST, taken_at=NOW_US),
    DeletionsAsked(agency="pd", request=DIGEST, day=NOW_US // DAY_US * DAY_US, count=2),
]  # fmt: skip
each = pytest.mark.parametrize("record", EVERY, ids=[record.thing for record in EVERY])


@each
def test_records_come_back(record: Record) -> None:
    """Signing, opening and parsing give the same values, times in microseconds and keys in bytes."""
    kind = type(record)
    envelope = record.sign(KEY)
    assert kind.open(envelope, key=PUBLIC) == record
    assert kind.unverified(envelope) == record
    assert kind.from_payload(record.payload()) == record
    assert kind.payload_type() == f"application/vnd.latchstring.{kind.thing}.v1+json"


@each
def test_records_are_bound_to_their_type_and_key(record: Record) -> None:
    """A record is not another kind of record, nor another key's."""
    other = Fetch if type(record) is not Fetch else Receipt
    envelope = record.sign(KEY)
    with pytest.raises(WireError):
        other.open(envelope, key=PUBLIC)
    with pytest.raises(WireError):
        other.unverified(envelope)
    with pytest.raises(WireError):
        type(record).open(envelope, key=public_bytes(key_of("fire")))


@each
def test_every_field_is_required_and_no_other_is_known(record: Record) -> None:
    """A missing or an additional field is refused, at every level."""
    body = parse_canonical(record.payload(), max_bytes=10_000)
    for name in body:
        with pytest.raises(WireError, match=name):
            type(record).from_payload(canonical({key: value for key, value in body.items() if key != name}))
    with pytest.raises(WireError, match="more"):
        type(record).from_payload(canonical(body | {"more": 1}))
    for name, value in body.items():
        for wrong in (None, True, [], {}, 1.5, -1, "", " ", [None], {"a": 1}):
            if value != wrong and (type(value) is not list or wrong != []):
                with pytest.raises(WireError):
                    type(record).from_payload(canonical(body | {name: wrong}))


@each
def test_a_value_has_one_spelling(record: Record) -> None:
    """A time as a number, white space, or another order of keys is refused."""
    body = parse_canonical(record.payload(), max_bytes=10_000)
    for name, value in body.items():
        if isinstance(value, str) and value.endswith("Z"):
            with pytest.raises(WireError, match="spelled"):
                type(record).from_payload(canonical(body | {name: parse_time(value)}))
            with pytest.raises(WireError):
                type(record).from_payload(canonical(body | {name: value.replace(".000000Z", "Z")}))
    with pytest.raises(WireError, match="canonical"):
        type(record).from_payload(json.dumps(body).encode())


BAD: list[tuple[type[Record], dict[str, Any]]] = [
    (Request, {"agency": "Springfield"}),
    (Request, {"agency": "-pd"}),
    (Request, {"agency": "pd\n"}),
    (Request, {"case": "two\nlines"}),
    (Request, {"case": "two\u2028lines"}),
    (Request, {"case": " padded"}),
    (Request, {"case": "a\u0301"}),
    (Request, {"case": "x" * 201}),
    (Request, {"description": "right\u202eto left"}),
    (Request, {"description": "zero\u200bwidth"}),
    (Request, {"description": "bell\u0007"}),
    (Request, {"description": "tab\there"}),
    (Request, {"description": "x" * 4_001}),
    (Request, {"contact": "nobody"}),
    (Request, {"contact": "a@b.example.gov\n"}),
    (Request, {"area": {"lat_e7": 900_000_001, "lon_e7": 0, "radius_m": 300}}),
    (Request, {"area": {"lat_e7": 0, "lon_e7": -1_800_000_001, "radius_m": 300}}),
    (Request, {"area": {"lat_e7": 0, "lon_e7": 0, "radius_m": 0}}),
    (Request, {"area": {"lat_e7": 0, "lon_e7": 0}}),
    (Request, {"devices": []}),
    (Request, {"devices": ["microphone"]}),
    (Request, {"recipient": "age1" + "b" * 58}),
    (Request, {"recipient": RECIPIENT.upper()}),
    (Request, {"recipient": RECIPIENT + "\n"}),
    (Request, {"sharing": ["x"] * 21}),
    (Request, {"retention_days": 100_001}),
    (Request, {"expires_at": "2026-05-04T12:00:00.000000+00:00"}),
    (Agency, {"domain": "Springfield.example.gov"}),
    (Agency, {"domain": "localhost"}),
    (Agency, {"domain": "-a.example.gov"}),
    (Agency, {"domain": "a..gov"}),
    (Agency, {"key": "AAAA"}),
    *((Agency, {"key": to_base64(key)}) for key in WEAK_KEYS),
    (Agency, {"key": DIGEST}),
]


@pytest.mark.parametrize(("kind", "change"), BAD, ids=[f"{at}-{next(iter(one[1]))}" for at, one in enumerate(BAD)])
def test_values_out_of_form_are_refused_by_name(kind: type[Record], change: dict[str, Any]) -> None:
    """What can't be shown safely, found or encrypted to is refused, and the field is named."""
    good = agency() if kind is Agency else request()
    body = parse_canonical(good.payload(), max_bytes=10_000) | change
    with pytest.raises(WireError, match=next(iter(change))):
        kind.from_payload(canonical(body))


def test_several_lines_and_other_scripts_are_fine() -> None:
    """A description may have paragraphs, and any language."""
    text = "Ein Fahrrad wurde gestohlen.\n\n自転車です。 Père Noël \U0001f6b2"
    assert Request.open(request(description=text).sign(KEY), key=PUBLIC).description == text


def test_limits_of_a_share_are_in_the_record() -> None:
    """Ten clips, and file names that can't leave a folder."""
    body = parse_canonical(EVERY[5].payload(), max_bytes=10_000)
    changes: list[dict[str, Any]] = [
        {"clips": body["clips"] * 11},
        {"clips": []},
        {"clips": [body["clips"][0] | {"file": "../clip-1.mp4"}]},
        {"clips": [body["clips"][0] | {"file": "clip-0.mp4"}]},
        {"files": [body["files"][0] | {"name": "../secret"}]},
        {"files": [body["files"][0] | {"name": ".hidden"}]},
        {"bundle_bytes": 2**53},
        {"bundle_sha256": DIGEST.upper()},
    ]
    for change in changes:
        with pytest.raises(WireError):
            Approval.from_payload(canonical(body | change))


@pytest.mark.parametrize("kind", ["answered", "resolved", "withdrawn"])
def test_an_update_says_one_of_three_things(kind: str) -> None:
    """Answered, resolved, withdrawn; no other word."""
    body = parse_canonical(EVERY[2].payload(), max_bytes=10_000)
    assert Update.from_payload(canonical(body | {"kind": kind})).kind == kind
    for bad in (kind.upper(), kind + "\n", "deleted", "edited"):
        with pytest.raises(WireError, match="kind"):
            Update.from_payload(canonical(body | {"kind": bad}))


@pytest.mark.parametrize(
    "counts",
    [
        [],
        [{"code": "window", "count": 0}],
        [{"code": "window", "count": -1}],
        [{"code": "Window", "count": 1}],
        [{"code": "window", "count": True}],
        [{"code": "window"}],
        [{"code": "window", "count": 1, "case": "26-1"}],
        [{"code": "window", "count": 1}] * 41,
    ],
)
def test_refusals_are_counts_by_code(counts: list[Any]) -> None:
    """Each code with how often, and no word about which request it was."""
    body = parse_canonical(EVERY[10].payload(), max_bytes=10_000)
    with pytest.raises(WireError, match="counts"):
        Refusals.from_payload(canonical(body | {"counts": counts}))


@pytest.mark.parametrize(
    "change",
    [{"day": "2026-05-04T00:00:00.000001Z"}, {"day": "2026-05-04T12:00:00.000000Z"}, {"count": 0}, {"count": 100_001}],
)
def test_asked_deletions_are_a_count_and_a_whole_day(change: dict[str, Any]) -> None:
    """The hour has no place in the public log, and neither have none nor more than an inbox could hold."""
    body = parse_canonical(EVERY[13].payload(), max_bytes=10_000)
    with pytest.raises(WireError, match=next(iter(change))):
        DeletionsAsked.from_payload(canonical(body | change))


def test_a_record_over_its_size_is_refused() -> None:
    """No payload is larger than a log entry."""
    with pytest.raises(WireError, match="more than"):
        Request.from_payload(b" " * 65_536)


@given(st.binary(max_size=100))
def test_no_payload_crashes_a_record(data: bytes) -> None:
    """Any signed bytes are a record that writes itself again, or a WireError."""
    for kind in (Request, Agency, Update):
        with contextlib.suppress(WireError):
            assert kind.open(sign_envelope(data, kind.payload_type(), KEY), key=PUBLIC).payload() == data
