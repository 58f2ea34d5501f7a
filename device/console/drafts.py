"""What the owner prepares for one request on one device: a choice of clips, the bundle made of it, a decision.

    choosing -> building -> ready -> approved
                building -> failed | choosing (another choice, or given up)

A draft lives in the memory of the unlocked console alone. Whatever is chosen anew unmakes the bundle; what is approved
is the bundle that was ready and shown, by its digest. Blocking parts run off the event loop.
"""

import io
import tarfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

from broker.wire.encoding import parse_time
from device.consent import review
from device.consent.errors import ConsentError
from device.consent.redact import Choice
from device.consent.release import Bundle, ClipMaterial, DeviceFacts
from device.consent.trust import VerifiedRequest
from device.reviewing import device_facts, sign_release, verify_again

from .errors import ApiError, DroppedError
from .films import Films, Opened
from .household import Device

MOST_DRAFTS = 4
DraftState = Literal["choosing", "building", "ready", "failed", "approved"]


@dataclass(frozen=True, slots=True)
class ChosenClip:
    """One clip of a choice, and what is to be done to it."""

    clip: str
    choice: Choice


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that lies ready, with what went into each of its clips."""

    bundle: Bundle
    facts: DeviceFacts
    materials: tuple[ClipMaterial, ...]  # without their films: the bundle has them

    def read(self, name: str) -> memoryview:
        """Return a file as it lies in the very tar that was sealed; raises ApiError."""
        with tarfile.open(fileobj=io.BytesIO(self.bundle.packed)) as archive:
            found = next((member for member in archive if member.name == name), None)
        if found is None:
            raise ApiError(404, "the bundle has no such file")
        return memoryview(self.bundle.packed)[found.offset_data : found.offset_data + found.size]


@dataclass(slots=True)
class Draft:
    """One answer in the making; `told` is the choice as the page sent it."""

    id: str
    device: Device
    verified: VerifiedRequest
    summary: Mapping[str, Any]
    state: DraftState = "choosing"
    error: str | None = None
    told: Any = None
    progress: float = 0.0
    what: str = ""
    made: Made | None = None
    turn: int = 0  # of the choice that counts: a build of an earlier one gives up
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def clips(self) -> Sequence[tuple[str, int, int]]:
        """The matching clips: (id, start_us, end_us)."""
        return [(one["clip"], one["start_us"], one["end_us"]) for one in self.summary["clips"]]

    @property
    def window_us(self) -> tuple[int, int]:
        """What the request asks for."""
        request = self.summary["request"]
        return parse_time(request["start"]), parse_time(request["end"])

    def begin(self, told: Any) -> int:
        """Take a new choice; returns its turn. Raises ApiError once approved."""
        with self.lock:
            if self.state == "approved":
                raise ApiError(409, "this was approved already")
            self.turn += 1
            self.state, self.error, self.told = "building", None, told
            self.progress, self.what, self.made = 0.0, "opening", None
            return self.turn

    def advance(self, turn: int, progress: float, what: str) -> None:
        """Tell how far a build is; raises DroppedError if another choice counts by now."""
        with self.lock:
            if self.turn != turn:
                raise DroppedError
            self.progress, self.what = progress, what

    def finish(self, turn: int, made: Made) -> None:
        """Have the bundle lie ready, unless another choice counts by now."""
        with self.lock:
            if self.turn == turn and self.state == "building":
                self.state, self.made, self.progress = "ready", made, 1.0

    def fail(self, turn: int, why: str) -> None:
        """Keep why there is no bundle."""
        with self.lock:
            if self.turn == turn and self.state == "building":
                self.state, self.error = "failed", why

    def drop(self) -> None:
        """Give up what is being made."""
        with self.lock:
            self.turn += 1
            self.made = None
            if self.state != "approved":
                self.state = "choosing"

    def approved(self) -> None:
        """Forget the bundle: it is the daemon's now."""
        with self.lock:
            self.state, self.made = "approved", None

    def ready(self, sha256: str) -> Made:
        """Return what lies ready, if it is the one of that digest; raises ApiError."""
        with self.lock:
            made = self.made
            if self.state != "ready" or made is None:
                raise ApiError(409, "there is nothing ready to approve; look at what they would get first")
            if made.bundle.sha256 != sha256:
                raise ApiError(409, "what you looked at is not what lies ready now; look at it again", changed=True)
            return made


class Drafts:
    """All drafts, the oldest going first."""

    def __init__(self, films: Films, *, new_id: Callable[[], str]) -> None:
        self._films = films
        self._new_id = new_id
        self._drafts: dict[str, Draft] = {}

    def open(self, device: Device, leaf: str) -> Draft:
        """Begin a draft, the request verified in this process; raises ControlError, ConsentError, ApiError."""
        summary, announcement = device.exchange("request", leaf=leaf)
        if summary["state"] != "offered":
            raise ApiError(409, f"this request is {summary['state']} on {device.name}; it does not wait for you")
        verified = verify_again(device.home, device.settings, summary, announcement)
        return Draft(self._new_id(), device, verified, summary)

    def add(self, draft: Draft) -> None:
        """Keep a draft; the oldest goes if there are too many."""
        while len(self._drafts) >= MOST_DRAFTS:
            self.drop(next(iter(self._drafts)))
        self._drafts[draft.id] = draft

    def find(self, draft: str) -> Draft:
        """Return a draft; raises ApiError."""
        try:
            return self._drafts[draft]
        except KeyError:
            raise ApiError(404, "this draft is not here (any more); begin again") from None

    def drop(self, draft: str) -> None:
        """Forget a draft."""
        self.find(draft).drop()
        del self._drafts[draft]

    def forget(self, device: Device, leaf: str) -> None:
        """Forget what was prepared for a request on a device: it is decided."""
        for draft in list(self._drafts.values()):
            if (draft.device.name, draft.verified.leaf) == (device.name, leaf):
                self.drop(draft.id)

    def build(self, draft: Draft, turn: int, chosen: Sequence[ChosenClip], *, rings: bool, now_us: int) -> None:
        """Make the bundle of a choice; raises DroppedError, and what opening and building raise."""
        device = draft.device
        facts = device_facts(device)
        materials = []
        for number, one in enumerate(chosen):

            def told(part: float, number: int = number) -> None:
                whole = (number + part) / len(chosen)
                draft.advance(turn, 0.95 * whole, f"clip {number + 1} of {len(chosen)}")

            told(0.0)
            try:
                opened = self._films.clip(device, one.clip)
                materials.append(self._material(opened, one.choice, told))
            except ConsentError as error:
                raise ConsentError(f"clip {number + 1} of {len(chosen)}: {error}") from error
        draft.advance(turn, 0.95, "sealing")
        bundle = review.prepare(
            draft.verified,
            facts,
            materials,
            rings=draft.summary["rings"] if rings else (),
            sign_release=lambda release: sign_release(device, release),
            now_us=now_us,
        )
        draft.finish(turn, Made(bundle, facts, tuple(replace(one, mp4=b"") for one in materials)))

    def _material(self, opened: Opened, choice: Choice, progress: Callable[[float], None]) -> ClipMaterial:
        return review.material(opened.parts, choice, identity=self._films.identity, progress=progress)


def seams(opened: Opened) -> list[int]:
    """Return every time at which a clip can be cut and keep its seal: where one segment ends and the next begins.

    A gap counts at both of its ends.
    """
    found = [opened.start_us]
    for before, after in pairwise(opened.segments):
        found += [before.end_us, after.start_us] if before.end_us < after.start_us else [after.start_us]
    return [*found, opened.end_us]


def frame_us(opened: Opened) -> int:
    """Return how long a picture is shown, about."""
    first = opened.segments[0]
    return max(1, first.duration_us // max(1, len(first.units)))
