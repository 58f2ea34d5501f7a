"""Where a log is kept: a folder, or a bucket of an S3-compatible store. The only module that knows obstore."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import S3Store

from broker.log.errors import StorageError, StorageRefusedError, StorageUnreachableError

from .bucket import Headers, Stored, TagMismatchError
from .folder import FolderStorage, Storage
from .lease import LEASE_S
from .objects import ObjectStorage

CONNECT_TIMEOUT_S = 5.0
TIMEOUT_S = 20.0
_CODE_FORM = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_STATUS_FORM = re.compile(r"non-2xx status code: ([45]\d\d)")
_CAUSE_FORM = re.compile(r"HTTP error: ([^\n]{1,200})")
_METADATA = "169.254.169.254"
_AGAIN = frozenset({"408", "409", "425", "429"})  # the refusals that pass
_CREDENTIALS = "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of an identity that may list, read, write and delete"

if TYPE_CHECKING:
    from obstore.store import S3Config  # its types exist for checkers alone

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ObjectOptions:
    """How an object store is reached. Credentials come from the environment: AWS_ACCESS_KEY_ID and its kin.

    `endpoint` is needed for every store but Amazon's; one that begins with http:// is reached without TLS.
    """

    endpoint: str = ""
    region: str = "us-east-1"
    lease_s: float = LEASE_S
    timeout_s: float = TIMEOUT_S


def open_storage(where: str | Path, options: ObjectOptions | None = None) -> Storage:
    """Return the storage of a folder, or of `s3://bucket/prefix`; nothing is read or written yet.

    Raises StorageRefusedError for any other URL, and for settings that can't be used.
    """
    if isinstance(where, Path) or "://" not in where:
        return FolderStorage(Path(where))
    options = options or ObjectOptions()
    return ObjectStorage(S3Bucket(where, options), lease_s=options.lease_s)


class S3Bucket:
    """The objects below one prefix of one bucket of an S3-compatible store."""

    def __init__(self, url: str, options: ObjectOptions) -> None:
        self._where = url.rstrip("/")
        self._endpoint = options.endpoint or "the store"
        parts = urlsplit(url)
        if parts.scheme == "file":
            raise StorageRefusedError(url, "object storage over local files is never synced", "give the folder's path")
        if parts.scheme != "s3" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
            raise StorageRefusedError(url, "is no place for a log", "give a folder or s3://bucket/prefix")
        seconds = timedelta(seconds=options.timeout_s)
        config: S3Config = {"region": options.region}
        if options.endpoint:
            config["endpoint"] = options.endpoint
        try:
            self._store = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                config=config,
                client_options={
                    "allow_http": options.endpoint.startswith("http://"),
                    "connect_timeout": timedelta(seconds=min(CONNECT_TIMEOUT_S, options.timeout_s)),
                    "timeout": seconds,
                },
                retry_config={"max_retries": 0, "retry_timeout": seconds},  # PatientBucket's business
            )
        except (exceptions.BaseError, ValueError) as error:
            raise StorageRefusedError(self._where, _cause(str(error)), "look at the settings of [log]") from error

    @property
    def where(self) -> str:
        """Name the bucket and the prefix, for people."""
        return self._where

    def get(self, key: str) -> Stored | None:
        """Return an object, None if there is none."""

        def get() -> Stored | None:
            try:
                found = obstore.get(self._store, key)
                return Stored(bytes(found.bytes()), self._tag(found.meta["e_tag"]))
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None

        return self._call(get)

    def put(self, key: str, data: bytes, headers: Headers) -> None:
        """Make or replace an object."""
        self._call(lambda: obstore.put(self._store, key, data, attributes=_attributes(headers), use_multipart=False))

    def put_if(self, key: str, data: bytes, headers: Headers, *, tag: str | None) -> str:
        """Replace the object that has `tag`, or make one."""

        def swap() -> str:
            mode: obstore.PutMode = "create" if tag is None else {"e_tag": tag}
            return self._tag(obstore.put(self._store, key, data, attributes=_attributes(headers), mode=mode)["e_tag"])

        try:
            return self._call(swap)
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
            raise TagMismatchError(key) from error

    def list_below(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, which ends in a slash."""
        return self._call(lambda: [found["path"] for some in obstore.list(self._store, prefix) for found in some])

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects."""
        self._call(lambda: obstore.delete(self._store, list(keys)))

    def _tag(self, tag: str | None) -> str:
        if tag is None:
            raise StorageRefusedError(self._where, "the store gives no ETag", "take one that honours If-Match")
        return tag

    def _call(self, call: Callable[[], T]) -> T:
        """Call obstore, and say in one line what went wrong."""
        try:
            return call()
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise StorageRefusedError(self._where, f"the store refuses: {_cause(str(error))}", _CREDENTIALS) from error
        except (exceptions.BaseError, OSError) as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> StorageError:
        text = str(error)
        if _METADATA in text:  # where credentials are looked for when the environment has none
            return StorageRefusedError(self._where, "there are no credentials for the store", _CREDENTIALS)
        if _code(error) == "NoSuchBucket":
            return StorageRefusedError(self._where, "there is no such bucket", "make it first")
        status = _STATUS_FORM.search(text)
        if status is not None and status[1].startswith("4") and status[1] not in _AGAIN:
            reason = f"the store answers {status[1]} {_code(error)}".rstrip()
            return StorageRefusedError(self._where, reason, "look at the settings of [log]")
        return StorageUnreachableError(self._where, f"no answer from {self._endpoint}: {_cause(text)}")


def _attributes(headers: Headers) -> "obstore.Attributes":
    return {"Content-Type": headers.content_type, "Cache-Control": headers.cache_control}


def _code(error: Exception) -> str:
    found = _CODE_FORM.search(str(error))
    return found[1] if found else ""


def _cause(text: str) -> str:
    for form in (_CODE_FORM, _STATUS_FORM, _CAUSE_FORM):
        if found := form.search(text):
            return found[1]
    return text.partition("\n")[0][:200]
