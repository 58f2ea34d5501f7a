"""Passkeys against an authenticator of software: what opens the owner key, when, and what is said where it can't."""

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.console.passkeys import PasskeyError
from device.vault.wrapped import MOST_KEYS
from tests.console.authenticator import Authenticator
from tests.console.passkey_home import OTHER, OWNER, START_US, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize("key", [None, Ed25519PrivateKey.generate()], ids=["P-256", "Ed25519"])
def test_a_passkey_opens_the_owner_key_for_unlocking_and_for_approving(
    home: Home, key: Ed25519PrivateKey | None
) -> None:
    """What was added opens the same key, again and again, also in a process that comes later."""
    authenticator = Authenticator() if key is None else Authenticator(key)
    home.add(authenticator)
    home.restart()
    for purpose, binding in (("unlock", b""), ("approve", b"draft"), ("unlock", b"")):
        owner = home.open(authenticator, purpose, binding)  # type: ignore[arg-type] # each is one of them
        assert owner.public == OWNER.public
        assert owner.identity == OWNER.identity


def test_the_page_gets_plain_json_that_asks_for_a_verified_person(home: Home) -> None:
    """Options carry rp id, challenge, salt and what is known, and demand a PIN, a fingerprint or a face."""
    options, _ = home.passkeys.options("add")
    assert options["rp"] == {"id": "localhost", "name": "Latchstring console"}
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "preferred"
    assert [one["alg"] for one in options["pubKeyCredParams"]] == [-7, -8, -257]
    assert options["attestation"] == "none"
    name = home.add(Authenticator())
    again, _ = home.passkeys.options("add")
    assert [one["id"] for one in again["excludeCredentials"]] == [name]
    assert again["extensions"]["prf"]["eval"] != options["extensions"]["prf"]["eval"]
    asked, _ = home.passkeys.options("unlock")
    assert (asked["rpId"], asked["userVerification"], asked["timeout"]) == ("localhost", "required", 180_000)
    assert asked["allowCredentials"] == [{"type": "public-key", "id": name, "transports": ["usb"]}]
    assert list(asked["extensions"]["prf"]["evalByCredential"]) == [name]
    assert json.loads(json.dumps([options, again, asked])) == [options, again, asked]


def test_several_passkeys_each_open_and_each_go_by_themselves(home: Home) -> None:
    """A passkey that was removed opens nothing, and needs no other to go; with the last the file goes."""
    first, second = Authenticator(), Authenticator()
    home.now_us += 5
    one, two = home.add(first, name="  Kim's key "), home.add(second, name="Phone")
    assert [(info.id, info.name, info.created_us) for info in home.passkeys.listed()] == [
        (one, "Kim's key", START_US + 5),
        (two, "Phone", START_US + 5),
    ]
    assert home.open(second).public == home.open(first).public == OWNER.public
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o600
    home.passkeys.remove(one)
    with pytest.raises(PasskeyError, match="never added to this console, or was removed"):
        home.open(first)
    assert home.open(second).public == OWNER.public
    with pytest.raises(PasskeyError, match="no such passkey"):
        home.passkeys.remove(one)
    home.passkeys.remove(two)
    assert sorted(one.name for one in home.folder.iterdir()) == ["owner.pub.json"]
    with pytest.raises(PasskeyError, match="no passkey was added yet"):
        home.passkeys.options("unlock")


def test_there_is_a_most_of_passkeys(home: Home) -> None:
    """The file is bounded, and says so before anybody touches an authenticator."""
    for _ in range(MOST_KEYS):
        home.add(Authenticator())
    with pytest.raises(PasskeyError, match="16 passkeys already"):
        home.passkeys.options("add")


def test_an_approval_must_be_bound(home: Home) -> None:
    """To ask for an approval of nothing, or to open with an adding ceremony, is a mistake of our own."""
    home.add(Authenticator())
    with pytest.raises(ValueError, match="bound"):
        home.passkeys.options("approve")
    with pytest.raises(ValueError, match="bound"):
        home.passkeys.options("unlock", binding=b"x")
    with pytest.raises(ValueError, match="opens nothing"):
        home.passkeys.open("x", {}, None, purpose="add")


def test_a_passkey_that_does_not_count_is_normal(home: Home) -> None:
    """Synced passkeys stay at 0, and using one writes nothing."""
    authenticator = Authenticator(counter=0, step=0)
    home.add(authenticator)
    before = home.path.stat()
    home.open(authenticator)
    home.open(authenticator)
    assert home.path.stat().st_ino == before.st_ino


def test_an_authenticator_without_prf_leaves_nothing(home: Home) -> None:
    """One clear line, and no file."""
    options, ceremony = home.passkeys.options("add")
    credential, _ = Authenticator().create(options)
    with pytest.raises(PasskeyError, match="lacks the PRF extension"):
        home.passkeys.add(ceremony, credential, None, name="x", owner=OWNER)
    assert not home.path.exists()


def test_passkeys_of_another_owner_say_so(home: Home) -> None:
    """If the owner key was replaced, its old passkeys open nothing, name the file, and stay as they are."""
    authenticator = Authenticator()
    home.add(authenticator)
    options, ceremony = home.passkeys.options("unlock")
    (home.folder / "owner.pub.json").write_bytes(OTHER.public.to_json())
    credential, prf = authenticator.get(options)
    with pytest.raises(PasskeyError, match=r"owner\.passkeys\.json are another owner key's"):
        home.passkeys.open(ceremony, credential, prf, purpose="unlock")
    with pytest.raises(PasskeyError, match="another owner key's"):
        home.passkeys.options("add")
    assert home.passkeys.listed() == []
    assert "another owner key's" in str(home.passkeys.problem())


def test_a_key_is_not_added_to_another_owners_passkeys(home: Home) -> None:
    """The key that was opened must be the one beside which the file lies, and the one of those kept already."""
    with pytest.raises(PasskeyError, match=r"owner\.pub\.json is another"):
        home.add(Authenticator(), owner=OTHER)
    assert not home.path.exists()
    home.add(Authenticator())
    (home.folder / "owner.pub.json").unlink()
    with pytest.raises(PasskeyError, match="another owner key's"):
        home.add(Authenticator(), owner=OTHER)
    assert home.passkeys.problem() is None


def test_a_damaged_file_keeps_nobody_from_the_passphrase(home: Home) -> None:
    """The list is empty and the reason is told; nothing is overwritten."""
    home.add(Authenticator())
    data = home.path.read_bytes()
    home.path.write_bytes(data[:-9])
    assert home.passkeys.listed() == []
    assert "damaged" in str(home.passkeys.problem())
    with pytest.raises(PasskeyError, match="damaged"):
        home.passkeys.options("unlock")
    assert home.path.read_bytes() == data[:-9]
    home.path.write_bytes(data)
    home.path.chmod(0o644)
    assert "chmod 600" in str(home.passkeys.problem())


def test_two_consoles_lose_none_of_their_passkeys(home: Home) -> None:
    """Each change reads what the other wrote."""
    other = Home(home.folder)
    first, second = Authenticator(), Authenticator()
    options, ceremony = home.passkeys.options("add")
    other.add(second)
    credential, prf = first.create(options)
    home.passkeys.add(ceremony, credential, prf, name="first", owner=OWNER)
    assert len(home.passkeys.listed()) == 2
    assert other.open(first).public == home.open(second).public == OWNER.public


def test_the_file_holds_no_secret_in_the_clear(home: Home) -> None:
    """Neither the owner's secrets nor the authenticator's are in it."""
    authenticator = Authenticator()
    home.add(authenticator)
    data = home.path.read_bytes()
    assert OWNER.identity.encode() not in data
    assert b"AGE-SECRET" not in data
    assert json.loads(data)["owner"]["recipient"] == OWNER.public.recipient
