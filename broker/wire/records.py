"""What is signed: every record's fields, parsed strictly. Pure.

A record is the payload of a DSSE envelope: RFC 8785 JSON, its type `application/vnd.latchstring.<thing>.v1+json`.
Times are `int` microseconds since the epoch in Python and RFC 3339 text on the wire; keys are base64, digests hex.
"""

import re
import unicodedata
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from .encoding import WireError, canonical, format_time, from_base64, parse_canonical, parse_time, to_base64
from .envelopes import MAX_ENVELOPE_BYTES, check_key, open_envelope, parse_envelope, payload_type, sign_envelope
from .geo import E7, Point
from .topics import NAME_FORM

INCIDENTS = (
    "arson",
    "assault",
    "burglary",
    "hit-and-run",
    "homicide",
    "missing-person",
    "package-theft",
    "robbery",
    "shooting",
    "theft",
    "traffic-collision",
    "vandalism",
    "vehicle-break-in",
    "vehicle-theft",
)
EXCLUDED_PURPOSES = (
    "lawful-assembly",
    "lawful-expression",
    "profiling",
    "protected-traits",
    "victim-personal-data",
)
DOMAIN_FORM = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"


def _time_in(value: Any) -> Any:
    return parse_time(value) if isinstance(value, str) else value


def _key_in(value: Any) -> Any:
    return check_key(from_base64(value, what="key")) if isinstance(value, str) else value


def _printable(text: str) -> str:
    # A request is shown to owners and the public: no control, bidirectional override or invisible characters.
    if any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} and char != "\n" for char in text):
        raise ValueError("contains invisible or control characters")
    if text != text.strip() or unicodedata.normalize("NFC", text) != text:
        raise ValueError("must be trimmed and in Unicode normal form C")
    return text


def _one_line(text: str) -> str:
    if "\n" in text:
        raise ValueError("must be one line")
    return text


def _ascending(times: tuple[int, ...]) -> tuple[int, ...]:
    if any(after <= before for before, after in pairwise(times)):
        raise ValueError("must be in order of time, each once")
    return times


def _matching(form: str) -> AfterValidator:
    compiled = re.compile(form, re.ASCII)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"does not look like {form}")
        return text

    return AfterValidator(check)


TimeUs = Annotated[int, BeforeValidator(_time_in), PlainSerializer(format_time, return_type=str)]
PublicKey = Annotated[bytes, BeforeValidator(_key_in), PlainSerializer(to_base64, return_type=str)]
Digest = Annotated[str, _matching(r"[0-9a-f]{64}")]
Slug = Annotated[str, _matching(NAME_FORM.pattern)]
Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable), AfterValidator(_one_line)]
Text = Annotated[str, Field(min_length=1, max_length=4_000), AfterValidator(_printable)]
Domain = Annotated[str, Field(max_length=253), _matching(DOMAIN_FORM)]
Email = Annotated[str, Field(max_length=254), _matching(r"[A-Za-z0-9._%+-]{1,64}@" + DOMAIN_FORM)]
Recipient = Annotated[str, _matching(r"age1[02-9ac-hj-np-z]{58}")]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]


class Part(BaseModel):
    """A frozen, strict piece of a record."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Record(Part):
    """A payload that is signed; `thing` names its type."""

    thing: ClassVar[str]

    @classmethod
    def payload_type(cls) -> str:
        """Return the media type."""
        return payload_type(cls.thing)

    def payload(self) -> bytes:
        """Return the canonical JSON."""
        return canonical(self.model_dump(mode="json"))

    @classmethod
    def from_payload(cls, payload: bytes) -> Self:
        """Parse canonical JSON; raises WireError naming the first field that is wrong."""
        if len(payload) > MAX_ENVELOPE_BYTES:
            raise WireError(f"{cls.thing} has {len(payload)} bytes, more than the {MAX_ENVELOPE_BYTES} allowed")
        try:
            record = cls.model_validate_json(payload)
        except ValidationError as error:
            parse_canonical(payload, max_bytes=MAX_ENVELOPE_BYTES, what=cls.thing)  # may know better what is wrong
            raise WireError(f"{cls.thing}: {explain(error)}") from error
        if record.payload() != payload:
            parse_canonical(payload, max_bytes=MAX_ENVELOPE_BYTES, what=cls.thing)
            # Canonical all the same: a time given as a number, say.
            raise WireError(f"{cls.thing}: a value is not spelled the way this record writes it")
        return record

    def sign(self, key: Ed25519PrivateKey) -> bytes:
        """Return an envelope's exact bytes."""
        return sign_envelope(self.payload(), self.payload_type(), key)

    @classmethod
    def open(cls, envelope: bytes, *, key: bytes) -> Self:
        """Check type and signature, then parse."""
        return cls.from_payload(open_envelope(envelope, payload_type=cls.payload_type(), key=key))

    @classmethod
    def unverified(cls, envelope: bytes) -> Self:
        """Parse without checking the signature, to learn which key to check it with."""
        parsed = parse_envelope(envelope, what=cls.thing)
        if parsed.payload_type != cls.payload_type():
            raise WireError(f"envelope holds {parsed.payload_type[:80]!r}, not a {cls.thing}")
        return cls.from_payload(parsed.payload)


def explain(error: ValidationError) -> str:
    """Return the first problem of a validation as `field: what is wrong`."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "record"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    what = "is not a key that is known here" if first["type"] == "extra_forbidden" else first["msg"]
    return f"{where}: {what.removeprefix('Value error, ')}{more}"


class Area(Part):
    """A circle around an incident."""

    lat_e7: Annotated[int, Field(ge=-90 * E7, le=90 * E7)]
    lon_e7: Annotated[int, Field(ge=-180 * E7, le=180 * E7)]
    radius_m: Annotated[int, Field(ge=1, le=100_000)]

    @property
    def centre(self) -> Point:
        """The circle's centre."""
        return Point(self.lat_e7, self.lon_e7)


class Agency(Record):
    """An agency that the operator admits to asking; signed by the operator's key."""

    thing: ClassVar[str] = "agency"
    agency: Slug
    name: Line
    domain: Domain
    contact: Email
    key: PublicKey
    admitted_at: TimeUs
    admitted_by: Line
    evidence: Line


class Revocation(Record):
    """The operator's word that an agency may not ask any more, from this entry on; signed by the operator's key.

    What the agency still had open is closed by it. A newer agency record, with another key, admits it again.
    """

    thing: ClassVar[str] = "revocation"
    agency: Slug
    at: TimeUs
    revoked_by: Line
    reason: Line


class Request(Record):
    """What an agency asks of a neighbourhood; signed by the agency's key. Limits on its values are in `rules`."""

    thing: ClassVar[str] = "request"
    agency: Slug
    case: Line
    incident: Slug
    description: Text
    contact: Email
    area: Area
    start: TimeUs
    end: TimeUs
    devices: Annotated[tuple[Literal["camera", "doorbell"], ...], Field(min_length=1, max_length=2)]
    recipient: Recipient
    purpose: Line
    retention_days: Annotated[int, Field(ge=0, le=100_000)]
    sharing: Annotated[tuple[Line, ...], Field(max_length=20)]
    excludes: Annotated[tuple[Slug, ...], Field(max_length=20)]
    posted_at: TimeUs
    expires_at: TimeUs


class Update(Record):
    """What an agency says of its request later; signed by the key that the agency has by then.

    answered   it was given footage, and says what came of it; the request stays open
    resolved   nobody needs to answer any more
    withdrawn  devices stop offering it, and nothing more is taken for it
    """

    thing: ClassVar[str] = "update"
    agency: Slug
    request: Digest
    kind: Literal["answered", "resolved", "withdrawn"]
    note: Line
    at: TimeUs


class RefusalCount(Part):
    """How often one rule turned something away."""

    code: Slug
    count: Annotated[int, Field(ge=1, lt=1 << 53)]


class Refusals(Record):
    """What intake turned away of one agency's in a stretch of time, counted by rule; signed by the operator's key."""

    thing: ClassVar[str] = "refusals"
    agency: Slug
    since: TimeUs
    until: TimeUs
    counts: Annotated[tuple[RefusalCount, ...], Field(min_length=1, max_length=40)]


class SegmentStatement(Record):
    """The seal of capture: one link of a camera's chain; signed by the device's key."""

    thing: ClassVar[str] = "segment"
    device: Slug
    camera: Slug
    seq: Count
    start: TimeUs
    duration_us: Count
    sha256: Digest
    prev: Digest


class FileDigest(Part):
    """One file inside a bundle."""

    name: Annotated[str, _matching(r"[a-z0-9][a-z0-9.-]{0,63}")]
    bytes: Count
    sha256: Digest


class SharedClip(Part):
    """One clip of a bundle: its file, its time range, the links of the capture chain it consists of.

    `transformations` is empty where the access units are as filmed.
    """

    file: Annotated[str, _matching(r"clip-[1-9][0-9]?\.mp4")]
    start: TimeUs
    end: TimeUs
    first_seq: Count
    last_seq: Count
    transformations: Annotated[tuple[Line, ...], Field(max_length=20)]


class Release(Record):
    """Inside the bundle, for the agency: what the device says it filmed; signed by the device's key.

    `rings` are the moments at which somebody rang, where the owner tells them; where not, the payload has no such key.
    """

    thing: ClassVar[str] = "release"
    request: Digest
    device: Slug
    device_key: PublicKey
    camera: Slug
    kind: Literal["camera", "doorbell"]
    recipient: Recipient
    clips: Annotated[tuple[SharedClip, ...], Field(min_length=1, max_length=10)]
    files: Annotated[tuple[FileDigest, ...], Field(min_length=1, max_length=20)]
    made_at: TimeUs
    rings: Annotated[tuple[TimeUs, ...], Field(max_length=100), AfterValidator(_ascending)] = ()

    @model_serializer(mode="wrap")
    def _without_empty_rings(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Releases from before there were rings stay what they are, byte for byte.
        fields: dict[str, Any] = whole(self)
        if not self.rings:
            del fields["rings"]
        return fields


class Approval(Record):
    """The owner's word, kept at home: these very bytes, to this recipient, for this request."""

    thing: ClassVar[str] = "approval"
    request: Digest
    device: Slug
    recipient: Recipient
    clips: Annotated[tuple[SharedClip, ...], Field(min_length=1, max_length=10)]
    files: Annotated[tuple[FileDigest, ...], Field(min_length=1, max_length=20)]
    bundle_bytes: Count
    bundle_sha256: Digest
    approved_at: TimeUs


class Upload(Record):
    """The outer envelope of a delivery: signed by a key made for this request alone, which it names."""

    thing: ClassVar[str] = "upload"
    request: Digest
    bundle_bytes: Count
    bundle_sha256: Digest
    key: PublicKey


class Receipt(Record):
    """The inbox's word that a bundle is stored; signed by the inbox's key."""

    thing: ClassVar[str] = "receipt"
    request: Digest
    bundle_bytes: Count
    bundle_sha256: Digest
    received_at: TimeUs


class Fetch(Record):
    """An agency's claim to what arrived for its request; signed by the agency's key, fresh for minutes."""

    thing: ClassVar[str] = "fetch"
    agency: Slug
    request: Digest
    at: TimeUs
