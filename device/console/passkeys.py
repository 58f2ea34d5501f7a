"""Passkeys that open the owner key: the file that keeps them, and the ceremonies that add and use them.

An authenticator computes, for a salt that we give it, 32 bytes that nobody else can (WebAuthn's PRF extension, over
CTAP's hmac-secret), once it has verified who holds it. The owner key is wrapped under them.

A thief of owner.passkeys.json gets public keys, names, salts, and ciphertexts under 256-bit keys that those
authenticators alone can compute. There is no passphrase in it to guess. The check of signatures keeps nothing secret:
whoever got around it would still have to bring the 32 bytes. It keeps a page from using them twice.

What this rests on, and where it ends:

- The rp id is `localhost`, which all local servers share. Another one may ask the same authenticator, and its holder
  may say yes; but it doesn't know the salts, and what comes of other salts opens nothing. Salts are therefore given to
  a page with a session alone. A copy of the file, another local page and the holder's yes to it do open the key
  together: the browser shows the same `localhost` for both.
- Each ceremony is good for one answer, one purpose and three minutes; for an approval, for one binding too. What was
  said to unlock the console can't approve.
- Counters may not go back, where an authenticator counts. Synced passkeys stay at 0.
- Removing a passkey makes the file forget it. A copy of the file from before still opens with that authenticator:
  whoever lost both needs a new owner key.
"""

import contextlib
import secrets
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fido2.webauthn import AttestedCredentialData

from device.vault.errors import VaultError
from device.vault.keys import MAX_FILE_BYTES, OwnerKey, OwnerPublic
from device.vault.wrapped import (
    MAX_NAME,
    MOST_KEYS,
    PASSKEY_SALT_BYTES,
    Label,
    WrappedKey,
    WrappedKeys,
    changing,
    load_wrapped,
    save_wrapped,
)

from .ceremonies import Ceremonies, Ceremony, Purpose
from .webauthn import MALFORMED, PRF_BYTES, Known, PasskeyError, RelyingParty, read_base64url

FILE_NAME = "owner.passkeys.json"
PUBLIC_NAME = "owner.pub.json"
CHALLENGE_BYTES = 32
USER_BYTES = 32
NO_PRF = "this passkey can't keep a key (it lacks the PRF extension), so nothing was stored; use the passphrase"
NONE_YET = "no passkey was added yet; use the passphrase"
__all__ = ["FILE_NAME", "PasskeyError", "PasskeyInfo", "Passkeys", "Purpose"]


@dataclass(frozen=True, slots=True)
class PasskeyInfo:
    """A passkey as the page shows it."""

    id: str
    name: str
    created_us: int


class Passkeys:
    """The passkeys of one owner key. Blocking, for milliseconds; safe to call from several threads."""

    def __init__(
        self,
        path: Path,
        *,
        origin: str,
        now_us: Callable[[], int],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._path = path
        self._party = RelyingParty(origin)
        self._now_us = now_us
        self._random = random
        self._ceremonies = Ceremonies(random)

    def listed(self) -> list[PasskeyInfo]:
        """Return the passkeys, oldest first; none if the file can't be used, which `problem` explains."""
        try:
            pairs = _pairs(self._kept())
        except PasskeyError:
            return []
        return [PasskeyInfo(one.id, key.label.name, key.label.created_us) for one, key in pairs]

    def problem(self) -> str | None:
        """Return in one line why the file can't be used, None if it can or if there is none."""
        try:
            _pairs(self._kept())
        except PasskeyError as error:
            return str(error)
        return None

    def options(self, purpose: Purpose, *, binding: bytes = b"") -> tuple[dict[str, Any], str]:
        """Begin a ceremony; returns WebAuthn's options as JSON, and the ceremony's name. Raises PasskeyError."""
        if (purpose == "approve") != bool(binding):
            raise ValueError("an approval is bound to what is approved, and nothing else is bound")
        known = [one for one, _ in _pairs(self._kept())]
        challenge = self._random(CHALLENGE_BYTES)
        salt = b""
        if purpose == "add":
            if len(known) >= MOST_KEYS:
                raise PasskeyError(f"there are {MOST_KEYS} passkeys already; remove one first")
            salt = self._random(PASSKEY_SALT_BYTES)
            # A user id of its own: no authenticator puts one passkey in the place of another.
            options, state = self._party.creation(challenge, user=self._random(USER_BYTES), salt=salt, known=known)
        elif known:
            options, state = self._party.request(challenge, known)
        else:
            raise PasskeyError(NONE_YET)
        return options, self._ceremonies.begin(Ceremony(purpose, binding, self._now_us(), state, salt))

    def add(self, ceremony: str, credential: object, prf: str | None, *, name: str, owner: OwnerKey) -> PasskeyInfo:
        """Keep the owner key under a new passkey; durable when it returns. Raises PasskeyError.

        `credential` and `prf` are what the page brought: JSON, and base64url of 32 bytes.
        """
        now_us = self._now_us()
        begun = self._ceremonies.take(ceremony, "add", b"", now_us)
        secret = _secret(prf)
        made = self._party.created(begun.state, credential)
        with _in_words(), changing(self._path):
            label = Label(
                credential=bytes(made.credential),
                salt=begun.salt,
                name=_name(name),
                created_us=now_us,
                counter=made.counter,
                transports=made.transports,
            )
            kept = self._kept(owner.public)
            new = Known(made.credential, label.salt, label.transports)
            if any(one.id == new.id for one, _ in _pairs(kept)):
                raise PasskeyError("this passkey was added already")
            if kept is not None and len(kept.keys) >= MOST_KEYS:
                raise PasskeyError(f"there are {MOST_KEYS} passkeys already; remove one first")
            keys = kept.keys if kept is not None else ()
            wrapped = WrappedKey.wrap(owner, secret, label, random=self._random)
            save_wrapped(self._path, WrappedKeys(owner.public, (*keys, wrapped)))
        return PasskeyInfo(new.id, label.name, now_us)

    def open(
        self, ceremony: str, credential: object, prf: str | None, *, purpose: Purpose, binding: bytes = b""
    ) -> OwnerKey:
        """Open the owner key with a passkey's answer; raises PasskeyError."""
        if purpose == "add":
            raise ValueError("a ceremony that adds a passkey opens nothing")
        begun = self._ceremonies.take(ceremony, purpose, binding, self._now_us())
        secret = _secret(prf)
        with _in_words(), changing(self._path):
            kept = self._kept()
            if kept is None:
                raise PasskeyError(NONE_YET)
            pairs = _pairs(kept)
            used, counter = self._party.asserted(begun.state, credential, [one for one, _ in pairs])
            key = next(key for one, key in pairs if one is used)
            _check_counter(key.label.counter, counter)
            owner = key.unwrap(secret, kept.owner)
            if counter != key.label.counter:
                moved = WrappedKey.wrap(owner, secret, replace(key.label, counter=counter), random=self._random)
                save_wrapped(self._path, replace(kept, keys=tuple(moved if one is key else one for one in kept.keys)))
        return owner

    def remove(self, id: str) -> None:  # noqa: A002 - the name that WebAuthn and the page have for it
        """Forget a passkey; durable when it returns. Raises PasskeyError if there is none of that name."""
        with _in_words(), changing(self._path):
            kept = self._kept()
            left = tuple(key for one, key in _pairs(kept) if one.id != id)
            if kept is None or len(left) == len(kept.keys):
                raise PasskeyError("there is no such passkey; it may have been removed in another window")
            save_wrapped(self._path, replace(kept, keys=left))

    def _kept(self, owner: OwnerPublic | None = None) -> WrappedKeys | None:
        """Return the file's passkeys, if they are those of the owner whose key lies beside it."""
        with _in_words():
            kept = load_wrapped(self._path)
            beside = self._path.with_name(PUBLIC_NAME)
            public = OwnerPublic.from_json(_read_public(beside)) if beside.exists() else None
        for one in (owner, public):
            if kept is not None and one is not None and kept.owner != one:
                raise PasskeyError(
                    f"the passkeys in {self._path} are another owner key's; move that file away, then add yours again"
                )
        if owner is not None and public is not None and owner != public:
            raise PasskeyError(f"{beside} is another owner key's than the one that was opened")
        return kept


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Pass on what the vault says, which is for a person too."""
    try:
        yield
    except VaultError as error:
        raise PasskeyError(str(error)) from error


def _pairs(kept: WrappedKeys | None) -> list[tuple[Known, WrappedKey]]:
    """Return each passkey as the ceremonies know it, with what is kept under it."""
    if kept is None:
        return []
    try:
        return [
            (Known(AttestedCredentialData(key.label.credential), key.label.salt, key.label.transports), key)
            for key in kept.keys
        ]
    except MALFORMED as error:
        raise PasskeyError("the file of passkeys holds what is no passkey; move it away and add yours again") from error


def _read_public(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PasskeyError(f"{path} could not be read: {error.strerror}") from error


def _secret(prf: str | None) -> bytes:
    if prf is None:
        raise PasskeyError(NO_PRF)
    return read_base64url(prf, size=PRF_BYTES, what="what the passkey computed")


def _name(name: str) -> str:
    text = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        raise PasskeyError(f"give the passkey a name of 1 to {MAX_NAME} characters that can be shown")
    return text


def _check_counter(kept: int, given: int) -> None:
    # Some count each use, others stay at 0 for ever.
    if given <= kept and (given, kept) != (0, 0):
        raise PasskeyError(
            "this passkey has counted backwards, as a copy of it would: use the passphrase, and remove the passkey"
        )
