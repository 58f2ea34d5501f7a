"""The operator's word that an agency may ask, or may not any more: the records that are signed and logged. Pure."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from broker.wire.encoding import WireError
from broker.wire.records import Agency, Revocation, explain


def admit(
    *,
    agency: str,
    name: str,
    domain: str,
    contact: str,
    agency_key: bytes,
    admitted_by: str,
    evidence: str,
    key: Ed25519PrivateKey,
    now_us: int,
) -> bytes:
    """Return the envelope of an agency record signed by the operator's `key`; raises WireError naming a bad field.

    `agency_key` is the agency's public Ed25519 key (32 bytes); a newer record of the same agency rotates it.
    """
    try:
        record = Agency(
            agency=agency,
            name=name,
            domain=domain,
            contact=contact,
            key=agency_key,
            admitted_at=now_us,
            admitted_by=admitted_by,
            evidence=evidence,
        )
    except ValidationError as error:
        raise WireError(f"agency: {explain(error)}") from error
    return record.sign(key)


def revoke(*, agency: str, revoked_by: str, reason: str, key: Ed25519PrivateKey, now_us: int) -> bytes:
    """Return the envelope that ends an agency's admission, signed by the operator's `key`; raises WireError.

    It ends what the agency still asks, too. A newer agency record admits it again.
    """
    try:
        record = Revocation(agency=agency, at=now_us, revoked_by=revoked_by, reason=reason)
    except ValidationError as error:
        raise WireError(f"revocation: {explain(error)}") from error
    return record.sign(key)
