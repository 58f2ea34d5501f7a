"""The clip ring: what is filmed goes in at one end, the oldest goes out at the other. Bounds, pins, ages; thread-safe.

How it is read stands in `clipreader`.

Invariants, on top of those of `clipstore`:

1. The clip files together never pass `max_bytes`: room is made before a byte is written, the end record's included.
2. The oldest unpinned clip goes first, and goes whole. A clip that is being written is never evicted: if nothing else
   is left, the append is refused with RingFullError and the clip stays as it is.
3. Pins protect at most `pinned_share` of `max_bytes`: the newest pins, as far as they fit; older ones protect no
   longer, and even protected clips give way to recording when nothing else is left. So no number of requests stops it.
4. A clip older than `max_age_s` goes, unless a pin protects it.
5. An append that returned is on disk, and its clip can be read that far; one that raised left no trace.
6. An append costs one write and one sync of the clip's file, and no look at the index: what is written is counted in
   memory. An evicted or ended clip costs one transaction.

Steps:

- begin:    age -> room -> clipstore.create
- append:   room -> clipstore.append. On a full disk, however large the bound: evict the oldest, try again
- end:      clipstore.append of the end record, which commits what waits for the index
- evict:    clipstore.evict, with the choice made inside its transaction, so that no pin comes between
- start-up: recovery -> end of each clip that was open -> age -> room, should the bound have been made smaller

Begin, append and end wait for one another; reading, pinning and counting wait only for transactions, never for a
clip's fsync: a disk that stalls holds up who writes, and nobody else. Nothing is queued in here.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from . import clipindex, clippins
from .clipfile import Header, RecordType, SegmentMeta, encode_end
from .clipreader import ClipReader
from .clipstore import ClipStore, Step, no_step
from .disk import Disk, LocalDisk, is_full, private_folder
from .errors import ClipError, RingFullError, StateFullError
from .recovery import Recovery, recover
from .seals import Reader
from .state import State, Transaction

SECOND_US = 1_000_000
END_BYTES = len(encode_end(2**53 - 1))

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How full the ring is. `pinned_bytes` is what pins protect; `oldest_us` is None in an empty ring."""

    bytes: int
    max_bytes: int
    clips: int
    pinned_bytes: int
    oldest_us: int | None


class ClipRing(ClipReader):
    """The ring of one device. Making one runs start-up; `recovered` tells what that found."""

    def __init__(
        self,
        folder: Path,
        state: State,
        *,
        device: str,
        max_bytes: int,
        max_age_s: float,
        pinned_share: float,
        clock: Callable[[], int],
        disk: Disk | None = None,
        step: Step = no_step,
    ) -> None:
        """`clock` returns microseconds since the epoch; `pinned_share` is from 0 to 1. Raises VaultError."""
        self._device = device
        self._max_bytes = max_bytes
        self._max_age_us = int(max_age_s * SECOND_US)
        self._pinned_bytes = int(max_bytes * pinned_share)
        self._clock = clock
        self._writer = threading.RLock()
        super().__init__(state, ClipStore(folder, state, disk=disk or LocalDisk(), step=step))
        private_folder(folder)
        self.recovered = self._start_up()

    def begin(
        self, clip: str, *, camera: str, start_us: int, event: str, kind: str, labels: Sequence[str] = ()
    ) -> None:
        """Begin a clip. Raises ClipError if there is one of that name, RingFullError."""
        header = Header(
            clip=clip,
            device=self._device,
            camera=camera,
            start_us=start_us,
            event=event,
            kind=kind,
            labels=tuple(labels),
        )
        with self._writing(clip):
            self.expire()
            self._make_room(len(header.encode()) + END_BYTES)
            self._with_space(clip, lambda: self._store.create(header))

    def append_segment(
        self, clip: str, sealed: bytes, *, statement: bytes, start_us: int, duration_us: int, sha256: str
    ) -> None:
        """Append a sealed segment with what `CaptureChain.sign` made for it. Raises ClipError, RingFullError."""
        meta = SegmentMeta(start_us=start_us, duration_us=duration_us, sha256=sha256, statement=statement)
        self._append(clip, RecordType.SEGMENT, meta.to_meta(), sealed)

    def append_thumbnail(self, clip: str, sealed: bytes, *, at_us: int) -> None:
        """Append a sealed thumbnail. Raises ClipError, RingFullError."""
        self._append(clip, RecordType.THUMBNAIL, {"at_us": at_us}, sealed)

    def end(self, clip: str, *, end_us: int) -> None:
        """Close a clip: it may be evicted from now on. Raises ClipError, RingFullError if the disk is full."""
        self._append(clip, RecordType.END, {"end_us": end_us})

    def pin(self, clip: str, reason: str, *, tx: Transaction | None = None) -> bool:
        """Protect a clip for a reason, in the caller's transaction if given; False if the clip is gone."""
        if tx is None:
            with self._state.transaction() as own:
                return self.pin(clip, reason, tx=own)
        if clipindex.find_clip(tx, clip) is None:
            return False
        clippins.add_pin(tx, clip, reason, self._clock())
        return True

    def unpin(self, reason: str, *, tx: Transaction | None = None) -> None:
        """Take back every pin that was set for a reason."""
        if tx is None:
            with self._state.transaction() as own:
                return self.unpin(reason, tx=own)
        return clippins.drop_pins(tx, reason)

    def expire(self) -> int:
        """Evict the clips that are too old; returns how many. Call it now and then: `begin` does, too.

        While something is being written, on a disk that stalls perhaps, it leaves them to the next call. Raises
        RingFullError on a disk that is too full even for that.
        """
        before_us = self._clock() - self._max_age_us
        count = 0
        with self._writing("the oldest", wait=False) as mine:
            while mine and self._evict(lambda tx: clippins.oldest_before(tx, before_us, self._protected(tx)), "age"):
                count += 1
        return count

    def making_room(self, what: str, action: Callable[[], T]) -> T:
        """Do what else needs room on this disk, the state's transaction say, giving up the oldest clips for it.

        Raises RingFullError once there is nothing left to give up.
        """
        with self._writing(what):
            return self._with_space(what, action)

    def usage(self) -> Usage:
        """Tell how full the ring is."""
        return Usage(
            bytes=self._store.used_bytes,
            max_bytes=self._max_bytes,
            clips=self._store.count,
            pinned_bytes=sum(self._protected(self._state).values()),
            oldest_us=clipindex.oldest_start_us(self._state),
        )

    def rebuild_index(self) -> Recovery:
        """Make the index again from the files alone. No clip may be open (making a ring ends all). Raises VaultError.

        Pins stay, since they are in no file; with the database itself lost they are lost too. What falls out of the
        index is what can't be read: a damaged record, and a clip without a whole header, whose file is then kept and
        not looked after any more. A power cut in the middle is mended by the next start, which takes up every file.
        """
        with self._writing("the index"):
            if clipindex.open_clips(self._state):
                raise ClipError("a clip is being written; end it before the index is rebuilt")
            with self._state.transaction() as tx:
                clipindex.forget_all(tx)
            return self._start_up()

    def _start_up(self) -> Recovery:
        with self._writing("start-up"):
            recovered = self._with_space("start-up", lambda: recover(self._store, next_out=self._oldest))
            for info in clipindex.open_clips(self._state):
                self.end(info.clip, end_us=info.until_us)
            self.expire()
            self._make_room(0)
        return recovered

    def _append(self, clip: str, kind: RecordType, meta: dict[str, object], sealed: bytes = b"") -> None:
        with self._writing(clip):
            info = self.clip(clip)
            if info.end_us is not None:
                raise ClipError(f"clip {clip} has ended; nothing can be added")
            draft = self._store.draft(info, kind, meta, sealed)
            if kind is not RecordType.END:
                self._make_room(len(draft.data))
            self._with_space(clip, lambda: self._store.append(draft))

    def _make_room(self, count: int) -> None:
        """Evict until `count` more bytes fit under the bound; evicts nothing if they can't."""
        being_written = self._store.open.infos()
        ends = END_BYTES * len(being_written)
        if count and sum(info.bytes for info in being_written) + ends + count > self._max_bytes:
            raise RingFullError(
                f"{count} more bytes do not fit into the clip ring of {self._max_bytes} bytes beside the clip "
                "being written; raise the ring's max_bytes or make clips shorter"
            )
        while self._store.used_bytes + ends + count > self._max_bytes:
            if self._evict(self._oldest, "bytes") is None:
                return

    def _with_space(self, clip: str, action: Callable[[], T]) -> T:
        """Do what needs room on the disk; evict the oldest clip and try again for as long as the disk is full."""
        while True:
            try:
                return action()
            except (OSError, StateFullError) as error:
                if isinstance(error, OSError) and not is_full(error):
                    raise
                if self._evict(self._oldest, "disk full") is None:
                    raise RingFullError(
                        f"{self._store.folder}: the disk is full and there is no older clip to give up for {clip}; "
                        "free some space, what is stored is untouched"
                    ) from error

    def _evict(self, choose: Callable[[Transaction], str | None], reason: str) -> str | None:
        """Evict what `choose` names. On a disk too full even for that it is RingFullError; the next try goes on."""
        try:
            clip = self._store.evict(choose)
        except (OSError, StateFullError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise RingFullError(
                f"{self._store.folder}: room is needed and the oldest clip could not be given up ({why}); "
                "free some space"
            ) from error
        if clip is not None:
            log.info("clip_evicted", clip=clip, reason=reason)
        return clip

    def _oldest(self, tx: Transaction) -> str | None:
        protected = self._protected(tx)
        return clippins.oldest_ended(tx, protected) or clippins.oldest_ended(tx, {})

    def _protected(self, reader: Reader) -> dict[str, int]:
        grown = {info.clip: info.bytes for info in self._store.open.infos()}
        return clippins.protected(reader, self._pinned_bytes, grown)

    @contextlib.contextmanager
    def _writing(self, what: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the writer's turn; False, with nothing held, if it is another's and is not waited for."""
        self._state.refuse_nesting()  # the writer's turn comes before the state's: the other way round could deadlock
        mine = self._writer.acquire(blocking=wait)
        try:
            yield mine
        except OSError as error:
            raise ClipError(f"{self._store.folder}: writing {what} failed: {error.strerror}") from error
        finally:
            if mine:
                self._writer.release()
