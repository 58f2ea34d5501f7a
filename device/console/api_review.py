"""Calls for one answer to one request: choose, build, look at what they get, approve."""

import asyncio
from typing import Annotated, Any

import structlog
from pydantic import Field

from broker.wire.encoding import WireError
from broker.wire.rules import Limits
from device.consent import review
from device.consent.errors import ConsentError
from device.consent.redact import Box, Choice, KeyBox, Region
from device.control import ControlError
from device.settings import SettingsError
from device.vault.errors import VaultError
from device.vault.keys import OwnerKey
from device.video.errors import VideoError

from .api import Call, Endpoint, Fields, Nothing
from .api_home import Name, Time
from .api_requests import Where
from .api_session import Proof, approval_binding, opens_by
from .cell import Cell
from .drafts import ChosenClip, Draft
from .errors import ApiError, DroppedError
from .showing import shown

log = structlog.get_logger()

MOST_REGIONS = 50
MOST_KEYS = 200
TOLD_EVERY_S = 0.2
WRONG = 403
Fraction = Annotated[float, Field(ge=0, le=1)]


class KeyFields(Fields):
    """Where a box is at one time, in fractions of the picture."""

    at_us: Time
    x: Fraction
    y: Fraction
    width: Annotated[float, Field(gt=0, le=1)]
    height: Annotated[float, Field(gt=0, le=1)]


class RegionFields(Fields):
    """A box over time."""

    keys: Annotated[list[KeyFields], Field(min_length=1, max_length=MOST_KEYS)]


class ClipFields(Fields):
    """One clip, how it is cut and what is hidden in it."""

    clip: Name
    from_us: Time
    until_us: Time
    hide_faces: bool
    regions: Annotated[list[RegionFields], Field(max_length=MOST_REGIONS)]


class ChoiceFields(Fields):
    """All that goes into a bundle."""

    clips: Annotated[list[ClipFields], Field(min_length=1)]
    rings: bool


class BuildFields(Fields):
    """A choice to be built."""

    choice: ChoiceFields


class ApproveFields(Proof):
    """The digest of the bundle that was looked at, and who says so."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def review_endpoints() -> list[Endpoint]:
    """Return the calls."""
    return [
        Endpoint("POST", "/drafts", Where, _open),
        Endpoint("GET", "/drafts/{draft}", Nothing, _look),
        Endpoint("POST", "/drafts/{draft}/build", BuildFields, _Builds().build),
        Endpoint("POST", "/drafts/{draft}/drop", Nothing, _drop),
        Endpoint("POST", "/drafts/{draft}/approve", ApproveFields, _approve, secret=True),
    ]


async def _open(call: Call) -> dict[str, Any]:
    cell, fields = call.cell, call.fields
    device = cell.mine(fields.device)
    draft = await asyncio.to_thread(lambda: cell.unlocked.drafts.open(device, fields.leaf))
    cell.unlocked.drafts.add(draft)
    return await asyncio.to_thread(lambda: shown(cell, draft))


async def _look(call: Call) -> dict[str, Any]:
    draft = call.cell.unlocked.drafts.find(call.path["draft"])
    return await asyncio.to_thread(lambda: shown(call.cell, draft))


async def _drop(call: Call) -> dict[str, Any]:
    call.cell.unlocked.drafts.drop(call.path["draft"])
    return {}


class _Builds:
    """Runs one build after the other: each takes a core."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._tasks: set[asyncio.Task[None]] = set()

    async def build(self, call: Call) -> dict[str, Any]:
        """Take a choice and begin to make its bundle."""
        cell, choice = call.cell, call.fields.choice
        draft = cell.unlocked.drafts.find(call.path["draft"])
        chosen = chosen_clips(draft, choice)
        turn = draft.begin(choice.model_dump())
        task = asyncio.create_task(self._run(cell, draft, turn, chosen, rings=choice.rings))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.to_thread(lambda: shown(cell, draft))

    async def _run(self, cell: Cell, draft: Draft, turn: int, chosen: list[ChosenClip], *, rings: bool) -> None:
        async with self._turn:
            drafts, now_us = cell.unlocked.drafts, cell.now_us()
            work = asyncio.create_task(
                asyncio.to_thread(lambda: drafts.build(draft, turn, chosen, rings=rings, now_us=now_us))
            )
            while not work.done():
                _tell(cell, draft)
                await asyncio.wait([work], timeout=TOLD_EVERY_S)
            try:
                await work
            except DroppedError:
                return
            except (ApiError, ConsentError, ControlError, SettingsError, VaultError, VideoError, WireError) as error:
                draft.fail(turn, str(error))
            except Exception:
                log.exception("bundle_failed")  # a fault of ours: the owner is told that, and the console goes on
                draft.fail(turn, "the console failed at this; its terminal says how")
            _tell(cell, draft)


def _tell(cell: Cell, draft: Draft) -> None:
    cell.hub.tell("draft", draft=draft.id, state=draft.state, progress=round(draft.progress, 3), what=draft.what)


def chosen_clips(draft: Draft, choice: ChoiceFields) -> list[ChosenClip]:
    """Return the clips of a choice, if it is one that can be made; raises ApiError."""
    limits = Limits()
    known = {clip for clip, _, _ in draft.clips}
    if len(choice.clips) > limits.clips_per_share:
        raise ApiError(400, f"a share holds at most {limits.clips_per_share} clips; you chose {len(choice.clips)}")
    found = []
    for one in choice.clips:
        if one.clip not in known:
            raise ApiError(400, "one of the clips does not match this request")
        if not 0 < one.until_us - one.from_us <= limits.clip_max_us:
            raise ApiError(400, f"a clip may be up to {limits.clip_max_us // 1_000_000} s long; trim it")
        try:
            regions = tuple(_region(region) for region in one.regions)
        except ValueError as error:
            raise ApiError(400, f"a box can't be: {error}") from error
        choice_of_clip = Choice(one.from_us, one.until_us, hide_faces=one.hide_faces, regions=regions)
        found.append(ChosenClip(one.clip, choice_of_clip))
    return found


def _region(region: RegionFields) -> Region:
    return Region(tuple(KeyBox(key.at_us, Box(key.x, key.y, key.width, key.height)) for key in region.keys))


async def _approve(call: Call) -> dict[str, Any]:
    cell, fields = call.cell, call.fields
    draft = cell.unlocked.drafts.find(call.path["draft"])
    draft.ready(fields.sha256)
    binding = approval_binding(draft.id, fields.sha256)
    try:
        owner = await cell.open_owner(opens_by(cell, fields, purpose="approve", binding=binding))
    except ApiError as error:
        if error.status == WRONG and fields.passphrase is not None:
            raise ApiError(WRONG, "that is not your passphrase; nothing was sent", **error.more) from error
        raise

    _ = cell.unlocked  # who locked it meanwhile has not said yes

    async def approve() -> None:
        with cell.deciding():
            await asyncio.to_thread(lambda: _have_approved(cell, draft, fields.sha256, owner))

    # Whoever closes the page now has still said yes: it is kept, whatever becomes of the answer.
    await asyncio.shield(asyncio.create_task(approve()))
    _tell(cell, draft)
    cell.hub.tell("requests")
    return {"state": draft.state}


def _have_approved(cell: Cell, draft: Draft, sha256: str, owner: OwnerKey) -> None:
    bundle = draft.ready(sha256).bundle
    envelope = review.approve(bundle, draft.verified, device=draft.device.name, owner=owner, now_us=cell.now_us())
    draft.device.call("approve", bundle.sealed, approval=envelope.decode())
    draft.approved()
