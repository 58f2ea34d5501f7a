"""An agency's folder: its keys, who it is, and whose log it believes.

agency.key      Ed25519 signing key, PEM (PKCS #8); next.key and retired-*.key while and after it is rotated
identity.txt    age identity, as age-keygen writes it: `age -d -i identity.txt` opens what was shared
policy.txt      tlog-policy: the log that is believed, pinned
agency.toml     id, name, domain, contact, where the log and the inbox are, the policy's file
application.json  what the operator needs to admit the agency; nothing in it is secret
log.json        how far the log was read, and what it says of the agency
requests/<leaf>/request.dsse.json, request.tlog-proof, update-<entry>.dsse.json, bundles/<sha256>.age; beside a bundle,
                whose owner asks for its deletion, bundles/<sha256>.deletion.dsse.json
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from broker.keyfiles import KeyFileError, create_signing_key, load_signing_key, read_secret, write_secret
from broker.wire.encoding import WireError, format_time, from_base64, to_base64
from broker.wire.envelopes import KEY_BYTES, public_bytes
from broker.wire.proofs import MAX_POLICY_BYTES, Policy, parse_policy
from broker.wire.records import Agency, Domain, Email, Line, Slug, explain
from broker.wire.rules import in_domain

from .errors import AgencyError
from .files import make_folder, read_text, write_file

SETTINGS_FILE = "agency.toml"
KEY_FILE = "agency.key"
IDENTITY_FILE = "identity.txt"
POLICY_FILE = "policy.txt"
APPLICATION_FILE = "application.json"
MAX_SETTINGS_BYTES = 65_536
_IDENTITY_START = "AGE-SECRET-KEY-1"


def _key_text(text: str) -> str:
    from_base64(text, size=KEY_BYTES, what="operator_key")
    return text


class Settings(BaseModel):
    """What `agency.toml` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Slug
    name: Line
    domain: Domain
    contact: Email
    log_url: str = Field(pattern=r"^https?://[^\s?#]+$")
    inbox_url: str = Field(pattern=r"^https?://[^\s?#]+$")
    policy: str = Field(default=POLICY_FILE, min_length=1)
    operator_key: Annotated[str, AfterValidator(_key_text)] | None = None


@dataclass(frozen=True, slots=True)
class AgencyFolder:
    """An agency's folder that was read; secrets are read from it when they are used."""

    path: Path
    settings: Settings

    @classmethod
    def load(cls, path: Path) -> "AgencyFolder":
        """Read a folder that `init` made; raises AgencyError."""
        file = path / SETTINGS_FILE
        try:
            values = tomllib.loads(read_text(file, max_bytes=MAX_SETTINGS_BYTES))
            return cls(path, Settings.model_validate(values))
        except AgencyError as error:
            if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                raise
            raise AgencyError(
                f"{path} is no agency's folder; give --dir the folder that 'latchstring agency init' made"
            ) from error
        except ValidationError as error:
            raise AgencyError(f"{file}: {explain(error)}") from error
        except tomllib.TOMLDecodeError as error:
            raise AgencyError(f"{file} is no TOML: {error}") from error

    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key that signs requests; raises AgencyError."""
        try:
            return load_signing_key(self.path / KEY_FILE)
        except KeyFileError as error:
            raise AgencyError(str(error)) from error

    def identity(self) -> str:
        """Return the age identity; raises AgencyError."""
        file = self.path / IDENTITY_FILE
        try:
            lines = read_secret(file).decode("ascii", "replace").splitlines()
        except KeyFileError as error:
            raise AgencyError(str(error)) from error
        found = [line.strip() for line in lines if line.startswith(_IDENTITY_START)]
        if len(found) != 1:
            raise AgencyError(f"{file} must hold exactly one line that begins with {_IDENTITY_START}")
        return found[0]

    def recipient(self) -> str:
        """Return the `age1…` key that bundles are sealed to."""
        return recipient_of(self.identity())

    def policy(self) -> Policy:
        """Return the pinned policy; raises AgencyError."""
        file = self.path / self.settings.policy
        try:
            return parse_policy(read_text(file, max_bytes=MAX_POLICY_BYTES))
        except WireError as error:
            raise AgencyError(f"{file}: {error}") from error

    def request_folder(self, leaf: str) -> Path:
        """Return where a request is kept; `leaf` is its leaf hash in hex."""
        return self.path / "requests" / leaf

    def as_admitted(self, now_us: int) -> Agency:
        """Return the record that the operator would sign, to check a request against before there is one."""
        return Agency(
            agency=self.settings.id,
            name=self.settings.name,
            domain=self.settings.domain,
            contact=self.settings.contact,
            key=public_bytes(self.signing_key()),
            admitted_at=now_us,
            admitted_by=self.settings.id,
            evidence="a preview by the agency itself",
        )


def init(
    path: Path,
    *,
    agency: str,
    name: str,
    domain: str,
    contact: str,
    log_url: str,
    inbox_url: str,
    policy: str,
    now_us: int,
    operator_key: str | None = None,
) -> AgencyFolder:
    """Make an agency's folder with new keys; `policy` is the tlog-policy's text. Overwrites nothing: AgencyError.

    `operator_key` (base64) is the one that admits agencies; without it, the log's word is taken for it.
    """
    given = {"id": agency, "name": name, "domain": domain, "contact": contact, "operator_key": operator_key}
    try:
        settings = Settings.model_validate({**given, "log_url": log_url, "inbox_url": inbox_url})
        parse_policy(policy)
    except ValidationError as error:
        raise AgencyError(explain(error)) from error
    except WireError as error:
        raise AgencyError(f"the log's policy can't be used: {error}") from error
    if not in_domain(settings.contact, settings.domain):
        raise AgencyError(f"--contact: {settings.contact} is no address in {settings.domain}, the official domain")
    if (path / SETTINGS_FILE).exists():
        there = path / APPLICATION_FILE
        its = f"; its application is {there}" if there.exists() else ""
        raise AgencyError(f"{path} is an agency's folder already; choose another{its}")
    make_folder(path)
    try:
        create_signing_key(path / KEY_FILE)
        write_secret(path / IDENTITY_FILE, _identity_text(now_us))
    except KeyFileError as error:
        raise AgencyError(str(error)) from error
    write_file(path / POLICY_FILE, policy.encode())
    # Last: a folder without its settings is no agency's folder.
    write_file(path / SETTINGS_FILE, _settings_text(settings).encode())
    made = AgencyFolder(path, settings)
    write_application(made)
    return made


def application(folder: AgencyFolder, *, key: bytes | None = None) -> dict[str, str]:
    """Return what an operator needs in order to admit the agency; nothing in it is secret.

    `key` (32 bytes) is the public half of another key than the one in use, for a rotation.
    """
    return {
        "agency": folder.settings.id,
        "name": folder.settings.name,
        "domain": folder.settings.domain,
        "contact": folder.settings.contact,
        "key": to_base64(public_bytes(folder.signing_key()) if key is None else key),
        "recipient": folder.recipient(),
    }


def write_application(folder: AgencyFolder, *, key: bytes | None = None) -> Path:
    """Write `application.json`, which the operator needs, and return where; `key` as for `application`."""
    file = folder.path / APPLICATION_FILE
    write_file(file, (json.dumps(application(folder, key=key), indent=2, ensure_ascii=False) + "\n").encode())
    return file


def recipient_of(identity: str) -> str:
    """Return the public `age1…` half of an age identity; raises AgencyError."""
    try:
        return str(pyrage.x25519.Identity.from_str(identity).to_public())
    except pyrage.IdentityError as error:
        raise AgencyError("the identity is not an age X25519 secret key") from error


def _identity_text(now_us: int) -> bytes:
    identity = pyrage.x25519.Identity.generate()
    created = format_time(now_us)[: len("2026-05-04T03:02:01")] + "Z"
    return f"# created: {created}\n# public key: {identity.to_public()}\n{identity}\n".encode("ascii")


def _settings_text(settings: Settings) -> str:
    # A JSON string of printable text is a TOML basic string too.
    values = settings.model_dump(exclude_none=True)
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"
