"""The owner key under passkeys: what opens it, what a file must look like, and that a change is whole and durable."""

import base64
import hashlib
import json
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.encoding import canonical
from device.vault.disk import replace_secret
from device.vault.errors import KeyFileError, MisuseError
from device.vault.keys import OwnerKey
from device.vault.sealing import new_identity
from device.vault.wrapped import MOST_KEYS, Label, WrappedKey, WrappedKeys, changing, load_wrapped, save_wrapped

OWNER = OwnerKey(new_identity(), Ed25519PrivateKey.generate())
OTHER = OwnerKey(new_identity(), Ed25519PrivateKey.generate())
SECRET = bytes(range(32))
LABEL = Label(
    credential=b"an authenticator's record",
    salt=bytes(32),
    name="Kim's phone",
    created_us=1_770_000_000_000_000,
    counter=7,
    transports=("internal", "usb"),
)
KEY = WrappedKey.wrap(OWNER, SECRET, LABEL)
FILE = WrappedKeys(OWNER.public, (KEY, WrappedKey.wrap(OWNER, bytes(32), replace(LABEL, name="Spare"))))
DATA = FILE.to_json()


def forged(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the file changed, with a checksum that fits: what somebody makes who can write it."""
    body = json.loads(DATA)
    del body["checksum"]
    change(body)
    return canonical(body | {"checksum": hashlib.sha256(canonical(body)).hexdigest()}) + b"\n"


def test_each_passkey_opens_the_same_owner_key() -> None:
    """What was wrapped opens, from the file too, and is the whole key."""
    read = WrappedKeys.from_json(DATA)
    assert read == FILE
    for key, secret in zip(read.keys, (SECRET, bytes(32)), strict=True):
        owner = key.unwrap(secret, read.owner)
        assert (owner.public, owner.identity) == (OWNER.public, OWNER.identity)


def test_another_secret_opens_nothing() -> None:
    """Every wrong bit is one line; a secret of another length is our own mistake."""
    for place in range(256):
        wrong = bytearray(SECRET)
        wrong[place // 8] ^= 1 << place % 8
        with pytest.raises(KeyFileError, match="does not open the owner key"):
            KEY.unwrap(bytes(wrong), OWNER.public)
    with pytest.raises(MisuseError, match="32 bytes"):
        KEY.unwrap(SECRET[:-1], OWNER.public)


def test_the_same_key_is_never_wrapped_in_the_same_bytes() -> None:
    """Each wrapping has a nonce of its own."""
    again = WrappedKey.wrap(OWNER, SECRET, LABEL)
    assert again.nonce != KEY.nonce
    assert again.ciphertext != KEY.ciphertext


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_any_altered_byte_is_damage(place: int, flip: int) -> None:
    """Whatever byte of the file is altered, it is named damaged and not read."""
    data = bytearray(DATA)
    data[place] ^= flip
    with pytest.raises(KeyFileError, match="damaged, or is no such file"):
        WrappedKeys.from_json(bytes(data))


def _flip(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[0] ^= 1
    return base64.b64encode(bytes(data)).decode()


FIELDS: dict[str, Callable[[Any], Any]] = {
    "ciphertext": _flip,
    "credential": _flip,
    "nonce": _flip,
    "salt": _flip,
    "counter": lambda counter: counter - 1,
    "created_us": lambda at_us: at_us + 1,
    "name": lambda name: name + "!",
    "transports": lambda ways: ways[1:],
}


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_an_entry_is_bound(name: str) -> None:
    """A field changed by somebody who makes the checksum fit leaves an entry that opens no more."""
    assert set(FIELDS) == set(json.loads(DATA)["keys"][0])

    def change(body: dict[str, Any]) -> None:
        entry = body["keys"][0]
        entry[name] = FIELDS[name](entry[name])

    read = WrappedKeys.from_json(forged(change))
    with pytest.raises(KeyFileError, match="does not open the owner key"):
        read.keys[0].unwrap(SECRET, read.owner)
    assert read.keys[1].unwrap(bytes(32), read.owner).public == OWNER.public


@pytest.mark.parametrize("field", ["recipient", "verify_key"])
def test_the_owner_that_is_named_is_bound(field: str) -> None:
    """Another owner's name over these keys leaves none that opens."""
    theirs = json.loads(WrappedKeys(OTHER.public, FILE.keys).to_json())["owner"]
    read = WrappedKeys.from_json(forged(lambda body: body["owner"].update({field: theirs[field]})))
    with pytest.raises(KeyFileError, match="does not open the owner key"):
        read.keys[0].unwrap(SECRET, read.owner)


def test_a_key_of_another_owner_than_it_says_is_not_opened() -> None:
    """Who can write the file, and has a passkey, can't pass another key off as the owner's."""
    made = WrappedKey.wrap(_Posing(OTHER), SECRET, LABEL)  # type: ignore[arg-type] # poses as an OwnerKey
    with pytest.raises(KeyFileError, match="another owner's key than it says"):
        made.unwrap(SECRET, OWNER.public)


class _Posing:
    """Another owner's key that says to be this owner's."""

    public = OWNER.public

    def __init__(self, owner: OwnerKey) -> None:
        self.to_secret = owner.to_secret


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(more=1),
        lambda body: body.pop("owner"),
        lambda body: body.update(version=2),
        lambda body: body.update(version=True),
        lambda body: body.update(format="latchstring-owner-key"),
        lambda body: body.update(owner=[]),
        lambda body: body["owner"].update(recipient="age1x"),
        lambda body: body["owner"].update(verify_key="AA=="),
        lambda body: body.update(keys=[]),
        lambda body: body.update(keys={}),
        lambda body: body.update(keys=body["keys"] * MOST_KEYS),
        lambda body: body["keys"][0].update(more=1),
        lambda body: body["keys"].append(1),
        *(
            lambda body, name=name, value=value: body["keys"][0].update({name: value})
            for name, value in [
                ("counter", -1),
                ("counter", True),
                ("counter", "7"),
                ("counter", 1 << 32),
                ("created_us", 1.5),
                ("created_us", -1),
                ("credential", ""),
                ("credential", "QUJD!"),
                ("credential", base64.b64encode(bytes(2_049)).decode()),
                ("ciphertext", base64.b64encode(bytes(1_025)).decode()),
                ("name", ""),
                ("name", 5),
                ("name", " x"),
                ("name", "a\nb"),
                ("name", "x" * 61),
                ("nonce", "AAAA"),
                ("salt", "AAAA"),
                ("transports", "usb"),
                ("transports", [1]),
                ("transports", ["usb", "usb"]),
                ("transports", ["usb", "internal"]),
                ("transports", ["pigeon"]),
            ]
        ),
    ],
)
def test_only_the_exact_form_is_taken(change: Callable[[dict[str, Any]], object]) -> None:
    """Fields too many, too few, of another kind or out of bounds are refused, checksum or not."""
    with pytest.raises(KeyFileError, match="damaged, or is no such file"):
        WrappedKeys.from_json(forged(change))


@pytest.mark.parametrize("data", [b"", b"\n", b"{}\n", DATA[:-1], DATA + b"\n", b" " + DATA, b"[" * 50_000 + b"\n"])
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    """Something else altogether, or the same in another spelling, is refused as that."""
    with pytest.raises(KeyFileError, match="damaged, or is no such file"):
        WrappedKeys.from_json(data)


def test_the_largest_file_can_be_read_again(tmp_path: Path) -> None:
    """As many keys as there may be, each as long as it may be, stay within what is read."""
    label = replace(LABEL, credential=bytes(2_048), name="\u20ac" * 60, transports=("ble", "hybrid", "internal", "nfc"))
    largest = WrappedKeys(OWNER.public, (WrappedKey.wrap(OWNER, SECRET, label),) * MOST_KEYS)
    save_wrapped(tmp_path / "kept", largest)
    assert load_wrapped(tmp_path / "kept") == largest
    for count in (0, MOST_KEYS + 1):
        with pytest.raises(MisuseError, match="holds 1 to 16"):
            WrappedKeys(OWNER.public, (KEY,) * count).to_json()


def test_a_file_is_replaced_whole_and_privately(tmp_path: Path) -> None:
    """It is 0600, nothing lies beside it, what a power cut left is no hindrance, and with its last key it goes."""
    path = tmp_path / "owner.passkeys.json"
    assert load_wrapped(path) is None
    for kept in (FILE, WrappedKeys(OWNER.public, (KEY,))):
        save_wrapped(path, kept)
        assert load_wrapped(path) == kept
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [path]
    save_wrapped(path, WrappedKeys(OWNER.public, ()))
    assert load_wrapped(path) is None
    save_wrapped(path, WrappedKeys(OWNER.public, ()))


def test_a_file_that_cannot_be_written_says_so_and_stays(tmp_path: Path) -> None:
    """One line names the file and why; nothing half-made is left."""
    with pytest.raises(KeyFileError, match="could not be written: No such file"):
        save_wrapped(tmp_path / "nowhere" / "kept", FILE)
    (tmp_path / "folder").mkdir()
    for data in (FILE, WrappedKeys(OWNER.public, ())):
        with pytest.raises(KeyFileError, match=r"folder could not be (written|deleted): Is a directory"):
            save_wrapped(tmp_path / "folder", data)
    with pytest.raises(KeyFileError, match="can't be opened"), changing(tmp_path / "nowhere" / "kept"):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Like every key file, it is for its owner's eyes."""
    replace_secret(tmp_path / "kept", DATA)
    (tmp_path / "kept").chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_wrapped(tmp_path / "kept")


def test_changes_take_turns(tmp_path: Path) -> None:
    """Whoever changes the file meanwhile waits: of many who each add one, none is lost."""
    path = tmp_path / "kept"

    def add(number: int) -> None:
        with changing(path):
            kept = load_wrapped(path)
            keys = kept.keys if kept is not None else ()
            label = replace(LABEL, name=f"key {number}")
            save_wrapped(path, WrappedKeys(OWNER.public, (*keys, WrappedKey.wrap(OWNER, SECRET, label))))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = load_wrapped(path)
    assert kept is not None
    assert {key.label.name for key in kept.keys} == {f"key {number}" for number in range(12)}
