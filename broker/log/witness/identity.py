"""Who cosigns: the key, and `cosigner.json`, the public facts from which an operator invites a witness or mirror.

    {"kind": "witness" or "mirror", "name": …, "key": <vkey of type cosignature/v1>, "url": …}

`url` is the submission prefix (`<url>/add-checkpoint`), and a mirror's monitoring prefix as well. The name is the
key's name, and the one in policies.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.files import PUBLIC_FILE, PUBLIC_FOLDER, make_folder, read_bytes, replace_durably
from broker.keyfiles import create_signing_key, load_signing_key
from broker.log.errors import LogError
from broker.wire.cosigning import Kind
from broker.wire.encoding import WireError, parse_json
from broker.wire.envelopes import public_bytes
from broker.wire.notes import COSIGNATURE_V1, ED25519, VerifierKey, check_key_name, parse_verifier_key
from broker.wire.proofs import Cosigner, make_policy

IDENTITY_NAME = "cosigner.json"
KEY_NAME = "cosigner.key"
MAX_IDENTITY_BYTES = 4_096
_URL_FORM = re.compile(r"https?://[^\s/?#]+(?:/[^\s?#]+)*", re.ASCII)


class IdentityError(LogError):
    """A cosigner's folder or `cosigner.json` can't be used."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The contents of `cosigner.json`, checked."""

    kind: Kind
    name: str
    key: str
    url: str

    @property
    def verifier(self) -> VerifierKey:
        """The public key."""
        return parse_verifier_key(self.key)


def create_identity(folder: Path, *, kind: Kind, name: str, url: str) -> Identity:
    """Make a key and `cosigner.json` in a folder; raises IdentityError, or KeyFileError if there is a key already."""
    url = url.rstrip("/")
    _check(kind, VerifierKey(name, COSIGNATURE_V1, b"\x02" * 32), url)
    try:
        make_folder(folder, mode=PUBLIC_FOLDER)
        key = create_signing_key(folder / KEY_NAME)
        identity = Identity(kind, name, str(VerifierKey(name, COSIGNATURE_V1, public_bytes(key))), url)
        text = json.dumps(asdict(identity), indent=2, ensure_ascii=False) + "\n"
        replace_durably(folder / IDENTITY_NAME, text.encode(), mode=PUBLIC_FILE)
    except OSError as error:
        raise IdentityError(f"{error.filename or folder} can't be made: {error.strerror}") from error
    return identity


def load_identity(folder: Path, *, kind: Kind) -> tuple[Identity, Ed25519PrivateKey]:
    """Return what `create_identity` made; raises IdentityError or KeyFileError."""
    path = folder / IDENTITY_NAME
    identity = read_identity(path)
    if identity.kind != kind:
        raise IdentityError(f"{path} is a {identity.kind}'s, not a {kind}'s")
    key = load_signing_key(folder / KEY_NAME)
    if public_bytes(key) != identity.verifier.key:
        raise IdentityError(f"{folder / KEY_NAME} is not the key that {path} names")
    return identity, key


def read_identity(path: Path) -> Identity:
    """Read a `cosigner.json` strictly; raises IdentityError with one line."""
    data = read_bytes(path, max_bytes=MAX_IDENTITY_BYTES, error=_unreadable)
    try:
        return _parse(data)
    except (WireError, TypeError, IdentityError) as error:
        raise IdentityError(f"{path} is not what 'witness init' or 'mirror init' writes: {error}") from error


def _parse(data: bytes) -> Identity:
    fields = parse_json(data, max_bytes=MAX_IDENTITY_BYTES, what="it")
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise WireError("it is no object of texts")
    identity = Identity(**fields)
    _check(identity.kind, identity.verifier, identity.url)
    if identity.verifier.name != identity.name:
        raise WireError("the key has another name")
    return identity


def _check(kind: str, verifier: VerifierKey, url: str) -> None:
    if kind not in {"witness", "mirror"}:
        raise IdentityError(f"{kind[:40]!r} is neither witness nor mirror")
    if not _URL_FORM.fullmatch(url) or not _port_is_fine(url):
        raise IdentityError(f"{url[:80]!r} is no address such as http://witness.example.org:8090")
    try:
        check_key_name(verifier.name)
        # The name has to stand in a policy too, beside the names of its groups.
        one = Cosigner(verifier.name, verifier, url)
        anybody = VerifierKey("log", ED25519, b"\x01" * 32)
        make_policy(anybody, witnesses=[one], witnesses_needed=1)
        make_policy(anybody, mirrors=[one], mirrors_needed=1)
    except WireError as error:
        raise IdentityError(f"the name {verifier.name[:60]!r} can't be used: {error}") from error


def _port_is_fine(url: str) -> bool:
    try:
        _ = urlsplit(url).port
    except ValueError:
        return False
    return True


def _unreadable(message: str) -> IdentityError:
    return IdentityError(f"{message}; 'witness init' or 'mirror init' writes it")
