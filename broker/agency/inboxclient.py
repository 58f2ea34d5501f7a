"""HTTP to the inbox. What a server says is checked before it is believed; nothing here keeps state."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.files import PRIVATE_FILE, sync_folder
from broker.wire.encoding import WireError, from_base64, to_base64
from broker.wire.inbox import AUTH_SCHEME, MAX_BUNDLE_BYTES, MAX_NOTICE_BYTES
from broker.wire.records import Fetch

from .errors import AgencyError, RemoteError, UnreachableError
from .line import NOT_FOUND, PARTIAL, Line

MAX_BUNDLES = 10_000
_ID_LENGTH = 32
_DIGEST_LENGTH = 64


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """A bundle that the inbox holds."""

    id: str
    bytes: int
    sha256: str


class InboxClient:
    """The inbox, seen from an agency: signs a fresh claim for every call."""

    def __init__(
        self,
        url: str,
        *,
        agency: str,
        key: Ed25519PrivateKey,
        clock: Callable[[], int],
        http: httpx.Client | None = None,
    ) -> None:
        self._line = Line(url, http)
        self._agency = agency
        self._key = key
        self._clock = clock

    def list(self, request: str) -> tuple[BundleInfo, ...]:
        """Return what arrived for a request (leaf hash in hex); raises RemoteError."""
        body = self._line.json("GET", f"/requests/{request}", headers=self._claim(request))
        if not isinstance(body, dict) or set(body) != {"bundles"} or not isinstance(body["bundles"], list):
            raise RemoteError(f"{self._line.url} gave no list of bundles")
        if len(body["bundles"]) > MAX_BUNDLES:
            raise RemoteError(f"{self._line.url} lists more than {MAX_BUNDLES} bundles")
        return tuple(_bundle_info(entry, self._line.url) for entry in body["bundles"])

    def deletions(self, request: str) -> tuple[bytes, ...]:
        """Return the senders' notices that ask for what was shared for a request to be deleted; raises RemoteError.

        An inbox of an earlier version has none.
        """
        path, most = f"/requests/{request}/deletions", 2 * MAX_BUNDLES * MAX_NOTICE_BYTES
        try:
            body = self._line.json("GET", path, headers=self._claim(request), max_bytes=most)
        except RemoteError as error:
            if error.status == NOT_FOUND and error.code is None:
                return ()
            raise
        match body:
            case {"deletions": [*notices]} if len(body) == 1 and len(notices) <= MAX_BUNDLES:
                return tuple(_notice(one, self._line.url) for one in notices)
        raise RemoteError(f"{self._line.url} gave no list of notices")

    def download(self, request: str, bundle: BundleInfo, path: Path) -> None:
        """Fetch a bundle to `path`, where it appears only when it is whole; an earlier try's bytes are kept and used.

        Raises RemoteError, UnreachableError when it may be tried again.
        """
        partial = path.with_name(path.name + ".partial")
        have = partial.stat().st_size if partial.exists() else 0
        if have > bundle.bytes:
            partial.unlink()
            have = 0
        if have < bundle.bytes:
            self._receive(request, bundle, partial, have)
        if _digest(partial) != bundle.sha256:
            partial.unlink()
            raise RemoteError(
                f"{self._line.url}: bundle {bundle.sha256[:16]} arrived damaged and was discarded; fetch again"
            )
        partial.replace(path)
        sync_folder(path.parent)

    def _receive(self, request: str, bundle: BundleInfo, partial: Path, have: int) -> None:
        headers = self._claim(request)
        if have:
            headers["Range"] = f"bytes={have}-"
        with self._line.stream("GET", f"/bundles/{bundle.id}", headers=headers) as answer:
            if answer.status_code == PARTIAL:
                expected = f"bytes {have}-{bundle.bytes - 1}/{bundle.bytes}"
                if answer.headers.get("content-range") != expected:
                    raise RemoteError(f"{self._line.url} sent another range than it was asked for")
            else:
                have = 0
            self._write(answer, bundle, partial, have)

    def _write(self, answer: httpx.Response, bundle: BundleInfo, partial: Path, have: int) -> None:
        try:
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
            with os.fdopen(handle, "wb") as file:
                file.truncate(have)
                file.seek(have)
                for piece in answer.iter_raw():
                    have += len(piece)
                    if have > bundle.bytes:
                        raise RemoteError(f"{self._line.url} sent more bytes than it listed")
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise AgencyError(f"{partial} cannot be written: {error.strerror}") from error
        if have != bundle.bytes:
            raise UnreachableError(f"{self._line.url} stopped at {have} of {bundle.bytes} bytes; fetch again to go on")

    def _claim(self, request: str) -> dict[str, str]:
        claim = Fetch(agency=self._agency, request=request, at=self._clock()).sign(self._key)
        return {"Authorization": f"{AUTH_SCHEME} {to_base64(claim)}"}


def _bundle_info(entry: Any, where: str) -> BundleInfo:
    match entry:
        case {"id": str(name), "bytes": int(size), "sha256": str(digest)} if (
            len(entry) == 3  # noqa: PLR2004 - the three fields
            and _is_hex(name, _ID_LENGTH)
            and _is_hex(digest, _DIGEST_LENGTH)
            and type(size) is int
            and 0 < size <= MAX_BUNDLE_BYTES
        ):
            return BundleInfo(name, size, digest)
    raise RemoteError(f"{where} lists a bundle that is none")


def _notice(text: Any, where: str) -> bytes:
    try:
        return from_base64(text, what="notice")
    except (WireError, TypeError, AttributeError) as error:
        raise RemoteError(f"{where} lists a notice that is none") from error


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and not set(text) - set("0123456789abcdef")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
