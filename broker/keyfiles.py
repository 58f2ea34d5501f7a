"""Secrets in files, and Ed25519 keys of the operator and of agencies, in PEM (PKCS #8) that stock tools read."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from .files import make_folder, write_new

MAX_KEY_FILE_BYTES = 4_096


class KeyFileError(Exception):
    """A key file can't be used; the message says which, why, and what to do."""


def write_secret(path: Path, data: bytes) -> None:
    """Create a file that only its user can read, durably; raises KeyFileError if it exists."""
    try:
        make_folder(path.parent)
        write_new(path, data)
    except FileExistsError as error:
        raise KeyFileError(f"{path} exists already; a key is never overwritten. Move it away first") from error
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def read_secret(path: Path) -> bytes:
    """Return a secret file's bytes; raises KeyFileError if others can read it too."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise KeyFileError(f"{path} can be read by others; run: chmod 600 {path}")
            data = file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_KEY_FILE_BYTES:
        raise KeyFileError(f"{path} has more than {MAX_KEY_FILE_BYTES} bytes; that is no key")
    return data


def create_signing_key(path: Path) -> Ed25519PrivateKey:
    """Make a new key and store it."""
    key = Ed25519PrivateKey.generate()
    write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Load a key that `create_signing_key` stored."""
    try:
        key = load_pem_private_key(read_secret(path), password=None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{path} holds no private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a key that is not Ed25519")
    return key


def load_or_create_signing_key(path: Path) -> Ed25519PrivateKey:
    """Load a key, or make it on first use."""
    return load_signing_key(path) if path.exists() else create_signing_key(path)
