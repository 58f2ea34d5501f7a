"""What the log's page says of its cosigners, from the note itself and from what the log knows of them."""

from typing import Any

from broker.feed.logview import view_log, waiting_for
from broker.log.cosigned.panel import CosignerStatus
from broker.wire.cosigning import Kind
from broker.wire.envelopes import public_bytes
from broker.wire.notes import COSIGNATURE_V1, Checkpoint, VerifierKey, cosign_note, sign_note
from broker.wire.proofs import Cosigner, make_policy
from tests.log.support import LOG_VERIFIER, NOW_US, OPERATOR, ORIGIN, key_of

SECOND_US = 1_000_000
SIZE = 40


def cosigner(name: str) -> Cosigner:
    key = VerifierKey(f"{name}.example.org", COSIGNATURE_V1, public_bytes(key_of(name)))
    return Cosigner(name, key, f"https://{name}.example.org")


def status(name: str, kind: Kind, **changes: Any) -> CosignerStatus:
    one = cosigner(name)
    return CosignerStatus(name, kind, one.url, str(one.key), **changes)


POLICY = make_policy(
    LOG_VERIFIER,
    witnesses=[cosigner("ada"), cosigner("ben")],
    mirrors=[cosigner("cleo")],
    witnesses_needed=1,
    mirrors_needed=1,
)


def note(**at_s: int) -> bytes:
    """A checkpoint that these cosigned at these times."""
    made = sign_note(Checkpoint(ORIGIN, SIZE, bytes(32)).text, ORIGIN, OPERATOR)
    for name, time_s in at_s.items():
        made = cosign_note(made, f"{name}.example.org", key_of(name), at_s=time_s)
    return str(made).encode()


def test_each_cosigner_has_its_time_and_lag() -> None:
    """Who cosigned the published checkpoint is up to date; who did not is so many entries behind."""
    now_s = NOW_US // SECOND_US
    cosigners = [
        status("ada", "witness", size=SIZE, cosigned_s=now_s - 90),
        status("ben", "witness", size=31, cosigned_s=now_s - 7_200, error="it did not answer within 10 s"),
        status("cleo", "mirror"),
    ]
    view = view_log(note(ada=now_s - 90, cleo=now_s - 5), POLICY, cosigners, verifier="v", now_us=NOW_US)
    ada, ben, cleo = view.cosigners
    assert (ada.kind, ada.signed, ada.ago, ada.keeps_up) == ("witness", True, "1 minute ago", "up to date")
    assert (ben.signed, ben.ago) == (False, "2 hours ago")
    assert ben.keeps_up == "9 entries behind. It did not answer within 10 s"
    assert (cleo.kind, cleo.signed, cleo.ago, cleo.keeps_up) == ("mirror", True, "5 s ago", "up to date")
    assert view.size == SIZE
    assert view.quorum == "A checkpoint counts once it is cosigned by 1 of 2 witnesses and 1 of 1 mirror."


def test_a_log_that_nothing_is_published_of_says_so() -> None:
    """Before a quorum has cosigned anything there is no checkpoint to show, only who is awaited."""
    view = view_log(None, POLICY, [status("ada", "witness")], verifier="v", now_us=NOW_US)
    assert (view.size, view.text, view.origin) == (0, "", ORIGIN)
    (ada,) = view.cosigners
    assert (ada.at, ada.signed) == (None, False)


def test_a_cosigner_that_cant_be_reached_is_not_up_to_date() -> None:
    """Trouble stands instead of that all is well, as a sentence, also where it signed what is published."""
    now_s = NOW_US // SECOND_US
    ada = status("ada", "witness", size=SIZE, cosigned_s=now_s, error="it can't be reached: refused")
    (shown,) = view_log(note(ada=now_s), POLICY, [ada], verifier="v", now_us=NOW_US).cosigners
    assert shown.keeps_up == "It can't be reached: refused"


def test_entries_wait_for_those_that_fail_or_are_behind() -> None:
    """Who failed is named first of all; where nobody did, whoever has not signed that far."""
    ada, ben = status("ada", "witness", size=SIZE), status("ben", "witness", size=3)
    cleo = status("cleo", "mirror", error="it can't be reached")
    assert waiting_for([ada, ben, cleo], SIZE) == "cleo"
    assert waiting_for([ada, ben, status("cleo", "mirror")], SIZE) == "ben and cleo"
    assert waiting_for([ada], SIZE) == "their cosignatures"
