"""The operator's word on an agency: who it is, until when, and what no record can say."""

from typing import Any

import pytest

from broker.log.admission import admit, revoke
from broker.wire.encoding import WireError
from broker.wire.envelopes import public_bytes
from broker.wire.records import Agency, Revocation
from tests.log.support import NOW_US, OPERATOR, POLICE, key_of

ADMITTED: dict[str, Any] = {
    "agency": "springfield-pd",
    "name": "Springfield Police Department",
    "domain": "springfield.example.gov",
    "contact": "records@springfield.example.gov",
    "agency_key": public_bytes(POLICE),
    "admitted_by": "The operator",
    "evidence": "letterhead",
}
REVOKED: dict[str, Any] = {"agency": "springfield-pd", "revoked_by": "The operator", "reason": "Its key was lost."}


def test_both_are_signed_by_the_operator_alone() -> None:
    """Admission and revocation open with the operator's key and with no other."""
    admission = admit(**ADMITTED, key=OPERATOR, now_us=NOW_US)
    revocation = revoke(**REVOKED, key=OPERATOR, now_us=NOW_US)
    operator, other = public_bytes(OPERATOR), public_bytes(key_of("somebody"))
    assert Agency.open(admission, key=operator).key == public_bytes(POLICE)
    said = Revocation.open(revocation, key=operator)
    assert (said.agency, said.at, said.reason) == ("springfield-pd", NOW_US, "Its key was lost.")
    for kind, envelope in ((Agency, admission), (Revocation, revocation)):
        with pytest.raises(WireError):
            kind.open(envelope, key=other)


@pytest.mark.parametrize("change", [{"domain": "springfield"}, {"contact": "records"}, {"evidence": ""}])
def test_an_admission_needs_domain_contact_and_evidence(change: dict[str, str]) -> None:
    """The field that is missing or none is named."""
    with pytest.raises(WireError, match=rf"^agency: {next(iter(change))}"):
        admit(**ADMITTED | change, key=OPERATOR, now_us=NOW_US)


@pytest.mark.parametrize("change", [{"agency": "Springfield PD"}, {"reason": ""}, {"reason": "one\ntwo"}])
def test_a_revocation_says_whose_and_why(change: dict[str, str]) -> None:
    """The field that is missing or none is named."""
    with pytest.raises(WireError, match=rf"^revocation: {next(iter(change))}"):
        revoke(**REVOKED | change, key=OPERATOR, now_us=NOW_US)
