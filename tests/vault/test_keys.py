"""Owner key files, public files, device keys: what opens, what is refused, and in which words."""

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from device.vault.disk import read_secret, write_secret
from device.vault.errors import KeyFileError, PassphraseError
from device.vault.keys import Argon2Cost, DeviceKey, OwnerPublic, create_owner, unlock_owner
from device.vault.sealing import seal, unseal
from tests.conftest import need

CHEAP = Argon2Cost(memory_kib=8 * 1024, iterations=1, lanes=1)
PASSPHRASE = "correct horse"
KEY_FILE, PUBLIC = create_owner(PASSPHRASE, cost=CHEAP)


def altered(**changes: object) -> bytes:
    """Return the key file with fields changed, and its checksum made to fit."""
    import hashlib  # noqa: PLC0415 - only this forger needs it

    from broker.wire.encoding import canonical  # noqa: PLC0415 - only this forger needs it

    body = json.loads(KEY_FILE) | changes
    del body["checksum"]
    return canonical(body | {"checksum": hashlib.sha256(canonical(body)).hexdigest()})


def test_owner_key_opens_with_its_passphrase() -> None:
    """What is sealed to the public half opens with the unlocked one, and its signatures verify."""
    owner = unlock_owner(KEY_FILE, PASSPHRASE)
    assert owner.public == PUBLIC
    assert unseal(seal(b"x", [PUBLIC.recipient]), owner.identity) == b"x"
    owner.signing.public_key().verify(owner.signing.sign(b"yes"), b"yes")
    assert owner.signing.public_key().public_bytes_raw() == PUBLIC.verify_key


def test_wrong_passphrase_is_one_clear_line() -> None:
    """A wrong passphrase says so; an empty one can't be chosen."""
    with pytest.raises(PassphraseError, match=r"^the passphrase does not open this owner key"):
        unlock_owner(KEY_FILE, "wrong")
    with pytest.raises(PassphraseError, match="empty"):
        create_owner("", cost=CHEAP)


def test_passphrase_is_the_same_on_every_keyboard() -> None:
    """Composed and decomposed accents are one passphrase."""
    data, _ = create_owner("caf\u00e9", cost=CHEAP)
    unlock_owner(data, "cafe\u0301")


@given(st.integers(0, len(KEY_FILE) - 2), st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_damaged_key_file_is_told_from_a_wrong_passphrase(place: int, flip: int) -> None:
    """Any altered byte is named damage, before the passphrase is tried."""
    data = bytearray(KEY_FILE)
    data[place] ^= flip
    with pytest.raises(KeyFileError, match="damaged, or is no key file"):
        unlock_owner(bytes(data), PASSPHRASE)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"age-encryption.org/v1\n", b"[" * 100_000, KEY_FILE[:-40], PUBLIC.to_json()]
)
def test_what_is_no_key_file_is_refused(data: bytes) -> None:
    """Something else altogether is refused as that."""
    with pytest.raises(KeyFileError, match="no key file"):
        unlock_owner(data, PASSPHRASE)


@pytest.mark.parametrize(
    "changes",
    [
        {"memory_kib": 2**31},
        {"memory_kib": 8},
        {"memory_kib": "65536"},
        {"memory_kib": True},
        {"iterations": 10**9},
        {"lanes": 0},
        {"lanes": 4000},
    ],
)
def test_absurd_costs_are_refused_before_memory_is_taken(changes: dict[str, object]) -> None:
    """A key file that asks for terabytes gets none."""
    with pytest.raises(KeyFileError, match="Argon2id"):
        unlock_owner(altered(**changes), PASSPHRASE)


@pytest.mark.parametrize(
    "changes",
    [
        {"iterations": 2},
        {"salt": "AAAAAAAAAAAAAAAAAAAAAA=="},
        {"nonce": "AAAAAAAAAAAAAAAA"},
        {"ciphertext": "AAAA"},
    ],
)
def test_forged_header_does_not_open(changes: dict[str, object]) -> None:
    """The header is bound to the ciphertext: a checksum made to fit does not help."""
    with pytest.raises(PassphraseError):
        unlock_owner(altered(**changes), PASSPHRASE)


@pytest.mark.parametrize(
    "changes", [{"version": 2}, {"kdf": "scrypt"}, {"cipher": "rot13"}, {"extra": 1}, {"salt": "AA=="}]
)
def test_unknown_versions_and_fields_are_refused(changes: dict[str, object]) -> None:
    """What this version does not know it does not guess at."""
    with pytest.raises(KeyFileError):
        unlock_owner(altered(**changes), PASSPHRASE)


def test_no_secret_in_any_repr() -> None:
    """Keys in a traceback or a log show their public half only."""
    owner = unlock_owner(KEY_FILE, PASSPHRASE)
    assert owner.identity not in repr(owner)
    assert owner.signing.private_bytes_raw().hex() not in repr(owner)
    device = DeviceKey.generate()
    assert repr(device) == f"DeviceKey(public={device.public.hex()})"


def test_public_file_round_trips_and_is_strict() -> None:
    """The public file holds the public half, and nothing but its exact form is taken."""
    data = PUBLIC.to_json()
    assert OwnerPublic.from_json(data) == PUBLIC
    body = json.loads(data)
    for changes in (
        {"recipient": "age1x"},
        {"recipient": body["recipient"].upper()},
        {"verify_key": "AA=="},
        {"more": 1},
        {"version": True},
        {"format": "x"},
        {"recipient": 5},
    ):
        with pytest.raises(KeyFileError, match="not an owner's public key file"):
            OwnerPublic.from_json(json.dumps(body | changes).encode())
    with pytest.raises(KeyFileError):
        OwnerPublic.from_json(data[:-5])


def test_secret_files_are_private_whole_and_never_replaced(tmp_path: Path) -> None:
    """A secret is written 0600, and refuses to overwrite what is there; nothing is left beside it."""
    path = tmp_path / "owner.key"
    os.umask(os.umask(0))
    write_secret(path, KEY_FILE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(KeyFileError, match="exists already"):
        write_secret(path, b"other")
    assert read_secret(path) == KEY_FILE
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(KeyFileError, match="could not be written"):
        write_secret(tmp_path / "nowhere" / "key", b"x")


def test_device_key_round_trips(tmp_path: Path) -> None:
    """A device key is made once, kept, and read again."""
    key = DeviceKey.create(tmp_path / "device.key")
    assert DeviceKey.load(tmp_path / "device.key").public == key.public
    with pytest.raises(KeyFileError, match="exists already"):
        DeviceKey.create(tmp_path / "device.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """A key that others can read is refused, with the command that mends it."""
    path = tmp_path / "device.key"
    DeviceKey.create(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        DeviceKey.load(path)


def test_what_is_no_device_key_is_refused(tmp_path: Path) -> None:
    """A missing file, noise, and another kind of key each get their line."""
    with pytest.raises(KeyFileError, match="could not be read"):
        DeviceKey.load(tmp_path / "none")
    write_secret(tmp_path / "noise", b"noise")
    with pytest.raises(KeyFileError, match="damaged"):
        DeviceKey.load(tmp_path / "noise")
    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_secret(tmp_path / "ec", pem)
    with pytest.raises(KeyFileError, match="another kind"):
        DeviceKey.load(tmp_path / "ec")
    write_secret(tmp_path / "huge", b"x" * 100_000)
    with pytest.raises(KeyFileError, match="no key file"):
        DeviceKey.load(tmp_path / "huge")


@pytest.mark.openssl
def test_openssl_key_is_a_device_key(tmp_path: Path) -> None:
    """A key made by `openssl genpkey` loads, and openssl reads the one we make."""
    openssl = need("openssl")
    path = tmp_path / "made.key"
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", path], check=True)
    path.chmod(0o600)
    DeviceKey.load(path)
    DeviceKey.create(tmp_path / "ours.key")
    subprocess.run([openssl, "pkey", "-in", tmp_path / "ours.key", "-noout", "-check"], check=True, capture_output=True)


@pytest.mark.slow
def test_default_cost_opens(tmp_path: Path) -> None:
    """The cost that is used in earnest works too: 64 MiB, three passes, four lanes."""
    data, public = create_owner("x")
    body = json.loads(data)
    assert (body["memory_kib"], body["iterations"], body["lanes"]) == (65_536, 3, 4)
    assert unlock_owner(data, "x").public == public
    assert tmp_path
