"""Answers that are forged, replayed, copied or meant for something else: none of them opens the owner key."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fido2 import cbor
from fido2.utils import websafe_encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.console.passkeys import PasskeyError, Purpose
from tests.console.authenticator import FLAG, Authenticator
from tests.console.passkey_home import MINUTE_US, OWNER, Home

BENT: dict[str, tuple[Callable[[Authenticator], Authenticator], str]] = {
    "other port": (lambda a: replace(a, origin="http://localhost:8441"), "Invalid origin"),
    "other host": (lambda a: replace(a, origin="http://evil.example:8440"), "Invalid origin"),
    "https": (lambda a: replace(a, origin="https://localhost:8440"), "Invalid origin"),
    "no port": (lambda a: replace(a, origin="http://localhost"), "Invalid origin"),
    "longer": (lambda a: replace(a, origin="http://localhost:84400"), "Invalid origin"),
    "rp": (lambda a: replace(a, rp_id="evil.example"), "Wrong RP ID"),
    "frame": (lambda a: replace(a, cross_origin=True), "another site's page"),
    "nobody verified": (lambda a: replace(a, flags=FLAG.UP), "did not ask for a PIN"),
    "nobody there": (lambda a: replace(a, flags=FLAG.UV), "User Present"),
    "challenge": (lambda a: replace(a, challenge="A" * 43), "Wrong challenge"),
    "kind": (lambda a: replace(a, kind="payment.get"), "Incorrect type"),
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize("bend", BENT)
def test_an_answer_that_is_not_for_us_opens_nothing(home: Home, bend: str) -> None:
    """Origin with port, rp, frame, person, challenge and kind are each held against what was asked."""
    authenticator = Authenticator()
    home.add(authenticator)
    before = home.path.read_bytes()
    change, words = BENT[bend]
    with pytest.raises(PasskeyError, match=words):
        home.open(change(authenticator))
    assert home.path.read_bytes() == before
    assert home.open(authenticator).public == OWNER.public


@pytest.mark.parametrize("bend", BENT)
def test_a_new_passkey_that_is_not_for_us_is_not_kept(home: Home, bend: str) -> None:
    """The same holds for adding: nothing is stored."""
    change, words = BENT[bend]
    with pytest.raises(PasskeyError, match=words):
        home.add(change(Authenticator()))
    assert not home.path.exists()


def test_only_what_was_offered_is_added(home: Home) -> None:
    """A key of another algorithm is refused, and so are one passkey twice and a name that can't be shown."""
    with pytest.raises(PasskeyError, match="not the kind"):
        home.add(Authenticator(algorithm=-9))
    authenticator = Authenticator()
    for name in ("", "   ", "x" * 61, "a\nb", "a\u202eb"):
        with pytest.raises(PasskeyError, match="name of 1 to 60"):
            home.add(authenticator, name=name)
    home.add(authenticator)
    with pytest.raises(PasskeyError, match="added already"):
        home.add(authenticator)


def test_an_answer_is_taken_once(home: Home) -> None:
    """A ceremony that was answered, rightly or wrongly, is over."""
    authenticator = Authenticator()
    home.add(authenticator)
    options, ceremony = home.passkeys.options("unlock")
    credential, prf = authenticator.get(options)
    home.passkeys.open(ceremony, credential, prf, purpose="unlock")
    with pytest.raises(PasskeyError, match="answered already"):
        home.passkeys.open(ceremony, credential, prf, purpose="unlock")
    _, other = home.passkeys.options("unlock")
    with pytest.raises(PasskeyError, match="Wrong challenge"):
        home.passkeys.open(other, credential, prf, purpose="unlock")
    options, ceremony = home.passkeys.options("unlock")
    credential, prf = authenticator.get(options)
    with pytest.raises(PasskeyError, match="wrong length"):
        home.passkeys.open(ceremony, credential, prf[:40], purpose="unlock")
    with pytest.raises(PasskeyError, match="answered already"):
        home.passkeys.open(ceremony, credential, prf, purpose="unlock")


@pytest.mark.parametrize(("step_us", "fine"), [(3 * MINUTE_US, True), (3 * MINUTE_US + 1, False), (-1, False)])
def test_a_ceremony_lives_three_minutes(home: Home, step_us: int, fine: bool) -> None:
    """Later it is over; if the clock went back, nobody can tell, and it is over as well."""
    authenticator = Authenticator()
    home.add(authenticator)
    options, ceremony = home.passkeys.options("unlock")
    credential, prf = authenticator.get(options)
    home.now_us += step_us
    if fine:
        home.passkeys.open(ceremony, credential, prf, purpose="unlock")
        return
    with pytest.raises(PasskeyError, match="three minutes"):
        home.passkeys.open(ceremony, credential, prf, purpose="unlock")


def test_open_ceremonies_are_bounded(home: Home) -> None:
    """Of too many, the oldest is given up; nobody is kept out by those who only ask."""
    authenticator = Authenticator()
    home.add(authenticator)
    begun = [home.passkeys.options("unlock") for _ in range(40)]
    last, first = begun[-1], begun[0]
    home.passkeys.open(last[1], *authenticator.get(last[0]), purpose="unlock")
    with pytest.raises(PasskeyError, match="begin again"):
        home.passkeys.open(first[1], *authenticator.get(first[0]), purpose="unlock")


@pytest.mark.parametrize(
    ("asked", "bound", "used", "claimed"),
    [
        ("unlock", b"", "approve", b"bundle"),
        ("approve", b"bundle", "unlock", b""),
        ("approve", b"bundle", "approve", b"another bundle"),
        ("approve", b"bundle", "approve", b""),
        ("unlock", b"", "unlock", b"bundle"),
        ("add", b"", "unlock", b""),
    ],
)
def test_a_yes_to_one_thing_is_no_yes_to_another(
    home: Home, asked: Purpose, bound: bytes, used: Purpose, claimed: bytes
) -> None:
    """What was said to unlock can't approve, and what approves one bundle approves no other."""
    authenticator = Authenticator()
    home.add(authenticator)
    options, ceremony = home.passkeys.options(asked, binding=bound)
    options["extensions"]["prf"].setdefault("evalByCredential", {})
    credential, prf = authenticator.get(options)
    with pytest.raises(PasskeyError, match="about something else"):
        home.passkeys.open(ceremony, credential, prf, purpose=used, binding=claimed)


def test_an_unlocking_answer_adds_nothing(home: Home) -> None:
    """A ceremony for unlocking is none for adding."""
    home.add(Authenticator())
    options, ceremony = home.passkeys.options("unlock")
    credential, prf = Authenticator().create(options | {"extensions": {"prf": {"eval": {"first": "A" * 43}}}})
    with pytest.raises(PasskeyError, match="about something else"):
        home.passkeys.add(ceremony, credential, prf, name="x", owner=OWNER)


def test_a_counter_goes_forward(home: Home) -> None:
    """A counter that stands still or goes back is named as what a copy would do; nothing opens."""
    authenticator = Authenticator(counter=7)
    home.add(authenticator)
    home.open(authenticator)  # 8
    for counter in (8, 7, 0):
        with pytest.raises(PasskeyError, match="counted backwards"):
            home.open(replace(authenticator, counter=counter))
    home.restart()
    with pytest.raises(PasskeyError, match="counted backwards"):
        home.open(replace(authenticator, counter=8))
    home.open(replace(authenticator, counter=1_000))


def test_a_passkey_of_somebody_else_opens_nothing(home: Home) -> None:
    """Another credential is not known; another key under a known name signs wrongly; another secret opens nothing."""
    authenticator = Authenticator()
    home.add(authenticator)
    with pytest.raises(PasskeyError, match="never added"):
        home.open(Authenticator())
    with pytest.raises(PasskeyError, match="Invalid signature"):
        home.open(Authenticator(credential_id=authenticator.credential_id, counter=9))
    with pytest.raises(PasskeyError, match="does not open the owner key"):
        home.open(replace(authenticator, cred_random=bytes(32)))
    assert home.open(replace(authenticator, counter=20)).public == OWNER.public


JUNK = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=3)


@given(JUNK, st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_page_says_of_a_known_passkey_is_refused_in_one_line(
    home: Home, junk: Any, data: st.DataObject
) -> None:
    """Junk in the place of any field, and any altered byte of what a browser encoded, opens nothing."""
    authenticator = Authenticator()
    home.path.unlink(missing_ok=True)
    home.add(authenticator)
    options, ceremony = home.passkeys.options("unlock")
    credential, prf = authenticator.get(options)
    _bend(credential, junk, data)
    with pytest.raises(PasskeyError, match=r"^[^\n]+$"):
        home.passkeys.open(ceremony, credential, prf, purpose="unlock")


@given(JUNK, st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_page_says_of_a_new_passkey_is_kept_or_refused(home: Home, junk: Any, data: st.DataObject) -> None:
    """What can't be read is refused; a new passkey signs nothing, so that another key may be read out of its bytes."""
    options, ceremony = home.passkeys.options("add")
    credential, prf = Authenticator().create(options)
    _bend(credential, junk, data)
    with contextlib.suppress(PasskeyError):
        added = home.passkeys.add(ceremony, credential, prf, name="x", owner=OWNER)
        home.passkeys.remove(added.id)


@pytest.mark.parametrize(
    "inside",
    [
        1 << 62,
        [],
        {},
        {"fmt": "none", "attStmt": {}, "authData": 1 << 62},
        {"fmt": "none", "attStmt": {}, "authData": b""},
        {"fmt": "none", "attStmt": {}, "authData": bytes(37)},
        {"fmt": "none", "attStmt": {}, "authData": b"\xff" * 200},
    ],
)
def test_an_attestation_of_another_form_is_refused(home: Home, inside: Any) -> None:
    """Where bytes are expected no number is taken for their length, and what is too short is no passkey."""
    options, ceremony = home.passkeys.options("add")
    credential, prf = Authenticator().create(options)
    credential["response"]["attestationObject"] = websafe_encode(cbor.encode(inside))
    with pytest.raises(PasskeyError, match=r"not accepted|did not ask for a PIN"):
        home.passkeys.add(ceremony, credential, prf, name="x", owner=OWNER)


def _bend(credential: dict[str, Any], junk: Any, data: st.DataObject) -> None:
    response = credential["response"]
    where = data.draw(st.sampled_from(["rawId", "response", *(name for name in response if name != "userHandle")]))
    if where == "transports":
        where = "clientDataJSON"
    place = credential if where in credential else response
    text = place[where]
    if isinstance(text, str) and data.draw(st.booleans()):
        # What is drawn may not depend on the signature, which is another, of another length, each time.
        at = data.draw(st.integers(0, 9_999)) % (len(text) - 1)
        other = data.draw(st.sampled_from("AQgw_-7"))
        other = "z" if other == text[at] else other
        place[where] = text[:at] + other + text[at + 1 :]
    else:
        place[where] = junk
