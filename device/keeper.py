"""Takes what filming hands out and keeps it: seals and signs segments into the ring, and events into state and outbox.

One thread, one bounded queue. When the queue is full the film thread waits; what that means for its source is its own
rule (a file waits, a camera drops whole groups of pictures and counts them). Order for each thing: on disk, then told.

When the disk is full, footage gives way: the ring evicts its oldest, for a segment as for an event. Only when nothing
is left to give up is something lost; then it is counted, and the health says so.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import structlog

from broker.wire.segments import encode_segment, segment_digest
from device.handover import Handover
from device.link import Happening, Reporter
from device.vault.clipring import ClipRing
from device.vault.errors import RingFullError
from device.vault.sealing import seal
from device.vault.seals import CaptureChain
from device.vault.state import Schema, State
from device.video.outputs import (
    ClipEnded,
    ClipStarted,
    EventPhase,
    Output,
    SegmentReady,
    SourceBack,
    SourceEnded,
    SourceLost,
    Thumbnail,
)

log = structlog.get_logger()

CAMERA = "main"
MAX_QUEUE = 64
MAX_QUEUE_BYTES = 8_000_000
SCHEMA = Schema(
    "events",
    (
        (
            """CREATE TABLE events (
                event TEXT PRIMARY KEY, kind TEXT NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER,
                score INTEGER NOT NULL, clip TEXT) STRICT""",
            "CREATE INDEX events_by_time ON events (start_us)",
        ),
        ("ALTER TABLE events ADD COLUMN label TEXT", "ALTER TABLE events ADD COLUMN labelled_by TEXT"),
    ),
)


@dataclass(slots=True)
class KeeperCounters:
    """What the keeper did since it started."""

    events: int = 0
    segments: int = 0
    events_lost: int = 0
    segments_lost: int = 0
    storage_full: bool = False
    source_lost: str = ""


class Keeper:
    """Owns the thread that writes. `sink` is what Film calls; `close` returns once all that was handed over is kept."""

    def __init__(
        self,
        *,
        recipient: str,
        state: State,
        ring: ClipRing,
        chain: CaptureChain,
        reporter: Reporter,
        on_failure: Callable[[Exception], None],
        max_age_us: int,
    ) -> None:
        """`recipient` is the owner's public `age1…` key: what is sealed here can't be opened here."""
        self._recipient = recipient
        self._state = state
        self._ring = ring
        self._chain = chain
        self._reporter = reporter
        self._on_failure = on_failure
        self._max_age_us = max_age_us
        self._queue = Handover(most=MAX_QUEUE, most_bytes=MAX_QUEUE_BYTES)
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._lost_clips: set[str] = set()
        self.counters = KeeperCounters()

    def start(self, *, now_us: int) -> None:
        """End what a power cut left open, then begin to keep. Raises StateError."""
        left = self._state.query(
            "SELECT event, kind, start_us, score, clip, label, labelled_by FROM events WHERE end_us IS NULL"
        )
        for event, kind, start_us, score, clip, label, labelled_by in left:
            self._event(
                EventPhase(
                    event=event, kind=kind, phase="end", start_us=start_us, end_us=start_us, at_us=now_us, score=score,
                    clip=clip, label=label, labelled_by=labelled_by,
                )
            )  # fmt: skip
        self._thread.start()

    def sink(self, output: Output) -> None:
        """Hand over one output; waits while the queue is full."""
        self._queue.put(output)

    def close(self) -> None:
        """Keep what was handed over, then end. Closing twice is fine."""
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def waiting(self) -> int:
        """How many outputs wait to be kept."""
        return len(self._queue)

    def _run(self) -> None:
        while (output := self._queue.take()) is not None:
            try:
                self._keep(output)
            except Exception as error:  # noqa: BLE001 - handed to the daemon, which ends with it; the film may not hang
                self._on_failure(error)
                # Nothing more can be kept, but whoever hands over must not wait for ever.
                self._queue.close(drop=True)
                return

    def _keep(self, output: Output) -> None:
        match output:
            case EventPhase():
                self._event(output)
            case ClipStarted():
                self._clip_started(output)
            case SegmentReady():
                self._segment(output)
            case Thumbnail():
                self._thumbnail(output)
            case ClipEnded():
                self._clip_ended(output)
            case SourceLost():
                self.counters.source_lost = output.reason
                log.warning("camera_lost", reason=output.reason, retry_s=round(output.retry_s, 1))
            case SourceBack():
                self.counters.source_lost = ""
                log.info("camera_back")
            case SourceEnded():
                self.counters.source_lost = output.reason or ""
                log.info("camera_ended", reason=output.reason)
            case _:
                assert_never(output)

    def _event(self, event: EventPhase) -> None:
        happening = Happening(
            id=event.event,
            type=event.kind,
            phase=event.phase,
            at_us=event.at_us,
            start_us=event.start_us,
            end_us=event.end_us,
            score=event.score,
            clip=event.clip,
            label=event.label,
            labelled_by=event.labelled_by,
        )
        try:
            # Rather a new event than an old clip.
            self._ring.making_room("an event", lambda: self._write_event(event, happening))
        except RingFullError as error:
            self.counters.events_lost += 1
            self._full("event", error)
            return
        self.counters.events += event.phase == "start"
        if event.kind == "motion" and event.phase != "update":
            self._reporter.motion(on=event.phase == "start")
        tell = log.debug if event.phase == "update" else log.info
        tell("event", id=event.event, kind=event.kind, phase=event.phase, score=event.score)

    def _write_event(self, event: EventPhase, happening: Happening) -> None:
        with self._state.transaction() as tx:
            tx.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " end_us = excluded.end_us, score = max(score, excluded.score), clip = coalesce(clip, excluded.clip),"
                " label = excluded.label, labelled_by = excluded.labelled_by",
                (
                    event.event,
                    event.kind,
                    event.start_us,
                    event.end_us,
                    event.score,
                    event.clip,
                    event.label,
                    event.labelled_by,
                ),
            )
            if event.phase == "start":
                tx.execute("DELETE FROM events WHERE start_us < ?", (event.at_us - self._max_age_us,))
            self._reporter.happened(tx, happening)

    def _clip_started(self, clip: ClipStarted) -> None:
        kinds = self._state.query("SELECT kind FROM events WHERE event = ?", (clip.event,))
        kind = kinds[0][0] if kinds else "continuous"
        try:
            self._ring.begin(clip.clip, camera=CAMERA, start_us=clip.start_us, event=clip.event or "", kind=kind)
        except RingFullError as error:
            self._lost_clips = {clip.clip}
            self._full("clip", error)

    def _segment(self, output: SegmentReady) -> None:
        if output.clip in self._lost_clips:
            self.counters.segments_lost += 1
            return
        segment = output.segment
        plaintext = encode_segment(
            codec=segment.config.codec,
            width=segment.config.width,
            height=segment.config.height,
            extradata=segment.config.extradata,
            units=segment.units,
        )
        digest = segment_digest(plaintext)
        sealed = seal(plaintext, [self._recipient])
        statement = self._chain.sign(start_us=segment.start_us, duration_us=segment.duration_us, sha256=digest)
        try:
            self._ring.append_segment(
                output.clip,
                sealed,
                statement=statement,
                start_us=segment.start_us,
                duration_us=segment.duration_us,
                sha256=digest,
            )
        except RingFullError as error:
            self.counters.segments_lost += 1
            self._full("segment", error)
        else:
            self.counters.segments += 1
            self.counters.storage_full = False

    def _thumbnail(self, output: Thumbnail) -> None:
        if output.clip in self._lost_clips:
            return
        try:
            self._ring.append_thumbnail(output.clip, seal(output.jpeg, [self._recipient]), at_us=output.at_us)
        except RingFullError as error:
            self._full("thumbnail", error)

    def _clip_ended(self, output: ClipEnded) -> None:
        if output.clip in self._lost_clips:
            return
        try:
            self._ring.end(output.clip, end_us=output.end_us)
        except RingFullError as error:
            self._full("clip end", error)
        else:
            log.info("clip_ended", clip=output.clip)

    def _full(self, what: str, error: RingFullError) -> None:
        self.counters.storage_full = True
        log.warning("disk_full", what=what, error=str(error))
