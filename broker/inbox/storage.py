"""Uploads in a folder. Knows bytes, names and durability; not who may send or fetch.

    lock                                held by the one process that uses the folder
    uploads/<id>/envelope.dsse.json     what was promised: the `Upload` envelope's exact bytes
    uploads/<id>/data                   the bundle so far; gone again once it was let go
    uploads/<id>/receipt.dsse.json      once all bytes are there and hash as promised
    uploads/<id>/deletion.jsonl         the sender's notice that asks for deletion, and our receipt for it, a line each

Invariants, whenever the process dies:

1. A folder named by an id holds its envelope whole, and a data file or a receipt; all else in `uploads` is a draft.
2. An offset that was told to anybody is not above the durable length of the data.
3. A receipt exists only where the data was durable, whole, and hashed as promised; such data never changes again.
   It may go, whole: envelope and receipt then stand for it, so that its sender still finds that it arrived.
   Once there is a notice it goes.
4. An id, once told, stands for the same envelope until the upload is removed, whole.

Create: draft folder, envelope, empty data; rename to the id. Append: write, sync, only then the offset moves.
Finish: hash what the disk has; true: receipt as a draft, rename; false: cut the data to nothing.
Let go: only with a receipt, remove the data.
Ask for deletion: only with a receipt; notice and receipt as a draft, rename; then let go.
Start-up: remove drafts; let go of what a notice asks for; sync each data file and take its length as the offset; finish
what is full without a receipt. Through the same functions.
"""

import fcntl
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from broker.files import PRIVATE_FILE
from broker.wire.deletions import DeletionReceipt
from broker.wire.encoding import WireError
from broker.wire.records import Upload

from .disk import Disk
from .errors import InboxError

ID_FORM = re.compile(r"[0-9a-f]{32}", re.ASCII)
ID_BYTES = 16
ENVELOPE_FILE = "envelope.dsse.json"
DATA_FILE = "data"
RECEIPT_FILE = "receipt.dsse.json"
DELETION_FILE = "deletion.jsonl"
DRAFT_SUFFIX = ".draft"
_READ_BYTES = 1 << 20

MakeReceipt = Callable[[Upload], bytes]


@dataclass(frozen=True, slots=True)
class AskedDeletion:
    """A sender's notice and our receipt for it, their exact bytes; `taken_us` is what the receipt says."""

    notice: bytes
    receipt: bytes
    taken_us: int


@dataclass(slots=True)
class Stored:
    """One upload; `offset` is durable. Only the storage changes it."""

    id: str
    promise: Upload
    envelope: bytes
    folder: Path
    offset: int = 0
    receipt: bytes | None = field(default=None, repr=False)
    gone: bool = False
    deletion: AskedDeletion | None = field(default=None, repr=False)

    @property
    def length(self) -> int:
        """How many bytes were promised."""
        return self.promise.bundle_bytes

    @property
    def held_bytes(self) -> int:
        """How many bytes it may come to take, or takes."""
        return 0 if self.gone else self.length

    @property
    def data_path(self) -> Path:
        """Where its bytes are."""
        return self.folder / DATA_FILE


class Storage:
    """All uploads of one folder; creating and removing are safe from several threads, one upload has one writer."""

    def __init__(self, folder: Path, *, disk: Disk, random_bytes: Callable[[int], bytes]) -> None:
        self._folder = folder
        self._uploads = folder / "uploads"
        self._lock_handle = -1
        self._disk = disk
        self._random_bytes = random_bytes
        self._lock = threading.RLock()
        self._by_id: dict[str, Stored] = {}
        self._by_key: dict[bytes, Stored] = {}

    def load(self, make_receipt: MakeReceipt) -> None:
        """Read the folder, and bring each upload to where the last process left it; raises InboxError."""
        with ExitStack() as undo:
            undo.callback(self.close)
            try:
                self._disk.make_folder(self._uploads)
                self._take_lock()
                self._read(make_receipt)
            except OSError as error:
                where = error.filename or self._uploads
                raise InboxError(f"{where} cannot be used: {error.strerror}") from error
            undo.pop_all()

    def close(self) -> None:
        """Let another process have the folder; calling it twice is fine."""
        if self._lock_handle >= 0:
            os.close(self._lock_handle)
            self._lock_handle = -1

    def get(self, upload_id: str) -> Stored | None:
        """Return an upload; None for an id that is not known or is no id."""
        return self._by_id.get(upload_id)

    def by_key(self, key: bytes) -> Stored | None:
        """Return the upload made under a one-time key."""
        return self._by_key.get(key)

    def all(self) -> list[Stored]:
        """Return every upload, in order of creation since the last start."""
        with self._lock:
            return list(self._by_id.values())

    def create(self, promise: Upload, envelope: bytes) -> Stored:
        """Make room for an upload, durably."""
        upload_id = self._random_bytes(ID_BYTES).hex()
        folder = self._uploads / upload_id
        draft = self._uploads / f"{upload_id}{DRAFT_SUFFIX}"
        self._disk.make_folder(draft)
        self._disk.create(draft / ENVELOPE_FILE, envelope)
        self._disk.create(draft / DATA_FILE, b"")
        self._disk.rename(draft, folder)
        stored = Stored(upload_id, promise, envelope, folder)
        self._add(stored)
        return stored

    def append(self, stored: Stored, written: int, data: bytes) -> int:
        """Write `data` behind `written` bytes; returns the new count. The offset does not move before `commit`."""
        if stored.receipt is not None or written < stored.offset or written + len(data) > stored.length:
            raise InboxError(f"upload {stored.id} cannot take {len(data)} bytes at {written}")
        self._disk.append(stored.data_path, written, data)
        return written + len(data)

    def commit(self, stored: Stored, written: int) -> None:
        """Make everything up to `written` durable, and move the offset there."""
        if written != stored.offset:
            self._disk.sync(stored.data_path)
            stored.offset = written

    def roll_back(self, stored: Stored) -> None:
        """Cut off what was appended since the last commit."""
        if stored.receipt is not None or stored.data_path.stat().st_size == stored.offset:
            return
        self._disk.truncate(stored.data_path, stored.offset)

    def finish(self, stored: Stored, make_receipt: MakeReceipt) -> bool:
        """Hash a full upload: true leaves it with a receipt; false: it was not as promised, and was discarded."""
        if stored.receipt is not None:
            return True
        if stored.offset != stored.length:
            raise InboxError(f"upload {stored.id} is not full")
        if _hash_file(stored.data_path) != stored.promise.bundle_sha256:
            stored.offset = 0
            self._disk.truncate(stored.data_path, 0)
            return False
        receipt = make_receipt(stored.promise)
        self._put(stored, RECEIPT_FILE, receipt)
        stored.receipt = receipt
        return True

    def let_go(self, stored: Stored) -> None:
        """Remove a received bundle's bytes; envelope and receipt stay."""
        if stored.receipt is None:
            raise InboxError(f"upload {stored.id} has no receipt yet; its bytes can't go")
        stored.gone = True
        self._disk.remove(stored.data_path)

    def ask_deletion(self, stored: Stored, asked: AskedDeletion) -> None:
        """Keep a sender's notice for good, with our receipt for it; then let go of the bytes."""
        if stored.receipt is None or stored.deletion is not None:
            raise InboxError(f"upload {stored.id} can't take a notice: it has not arrived, or has one already")
        self._put(stored, DELETION_FILE, asked.notice + b"\n" + asked.receipt + b"\n")
        stored.deletion = asked
        if not stored.gone:
            self.let_go(stored)

    def touched_us(self, stored: Stored) -> int:
        """Return when its data last changed, µs."""
        try:
            return stored.data_path.stat().st_mtime_ns // 1_000
        except OSError as error:
            raise InboxError(f"{stored.data_path} cannot be read: {error.strerror}") from error

    def remove(self, stored: Stored) -> None:
        """Delete an upload, whole: renamed to a draft first, so that no half of it can come back."""
        with self._lock:
            self._by_id.pop(stored.id, None)
            self._by_key.pop(stored.promise.key, None)
        draft = self._uploads / f"{stored.id}{DRAFT_SUFFIX}"
        self._disk.rename(stored.folder, draft)
        self._disk.remove(draft)

    def _put(self, stored: Stored, name: str, data: bytes) -> None:
        """Add a file to an upload, whole or not at all."""
        draft = stored.folder / f"{name}{DRAFT_SUFFIX}"
        self._disk.remove(draft)
        self._disk.create(draft, data)
        self._disk.rename(draft, stored.folder / name)

    def _take_lock(self) -> None:
        handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise InboxError(f"{self._folder} is in use by another inbox; stop that one, or choose a folder") from error
        self._lock_handle = handle

    def _add(self, stored: Stored) -> None:
        with self._lock:
            self._by_id[stored.id] = stored
            self._by_key[stored.promise.key] = stored

    def _read(self, make_receipt: MakeReceipt) -> None:
        for path in sorted(self._uploads.iterdir()):
            if ID_FORM.fullmatch(path.name):
                self._add(self._recover(path, make_receipt))
            else:
                self._disk.remove(path)

    def _recover(self, folder: Path, make_receipt: MakeReceipt) -> Stored:
        try:
            envelope = (folder / ENVELOPE_FILE).read_bytes()
            promise = Upload.open(envelope, key=Upload.unverified(envelope).key)
        except (OSError, WireError) as error:
            raise InboxError(
                f"{folder} has no sound {ENVELOPE_FILE} ({error}); move the folder away to go on"
            ) from error
        stored = Stored(folder.name, promise, envelope, folder)
        if (folder / RECEIPT_FILE).exists():
            stored.receipt = (folder / RECEIPT_FILE).read_bytes()
            stored.gone = not stored.data_path.exists()
            stored.deletion = _read_deletion(folder / DELETION_FILE)
            if stored.deletion is not None and not stored.gone:
                self.let_go(stored)
        if stored.gone:
            stored.offset = stored.length
            return stored
        # What a killed process wrote may be in the page cache alone: durable first, then counted.
        self._disk.sync(stored.data_path)
        stored.offset = stored.data_path.stat().st_size
        if stored.offset > stored.length or (stored.receipt is not None and stored.offset != stored.length):
            raise InboxError(f"{stored.data_path} has {stored.offset} bytes where {stored.length} were promised")
        if stored.offset == stored.length:
            self.finish(stored, make_receipt)
        return stored


def read_file(path: Path, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes [start, end) of a file, a megabyte at a time."""
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            piece = file.read(min(_READ_BYTES, end - start))
            if not piece:
                raise InboxError(f"{path} is shorter than it was")
            start += len(piece)
            yield piece


def _read_deletion(path: Path) -> AskedDeletion | None:
    try:
        notice, receipt = path.read_bytes().splitlines()
        return AskedDeletion(notice, receipt, DeletionReceipt.unverified(receipt).taken_at)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # WireError is one
        raise InboxError(f"{path} is not sound ({error}); move its folder away to go on") from error


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    for piece in read_file(path, 0, path.stat().st_size):
        digest.update(piece)
    return digest.hexdigest()
