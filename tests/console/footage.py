"""Footage of earlier today: filmed by a device's own parts into its folder, in no time, before its daemon starts.

So the daemon of these tests has never held a picture of it in the clear.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from device import keeper, link
from device.consent.reading.tables import SCHEMA as READING
from device.consent.requests import SCHEMA as REQUESTS
from device.daemon import VERSION, new_event_id, system_now_us
from device.names import CLIPS_NAME, KEY_NAME, STATE_NAME
from device.parts import film_settings
from device.pinned import owner_public
from device.settings import DeviceSettings, load_settings
from device.vault.clipring import ClipRing
from device.vault.keys import DeviceKey
from device.vault.seals import CaptureChain
from device.vault.state import State
from device.video.film import Film
from device.video.recorder import RecorderSettings
from device.video.source.capture import parse_source
from tests.video.support import LeapingClock

FILMED_WITHIN_S = 60.0
EVENTS = RecorderSettings(pre_roll_s=3, post_roll_s=2)
CONTINUOUS = RecorderSettings(mode="continuous")
DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Take:
    """One film: its source, the moment it begins, and how it is recorded."""

    source: str
    start_us: int
    recorder: RecorderSettings = EVENTS


def film_into(home: Path, takes: Sequence[Take]) -> None:
    """Film the takes, which are in the order of time, into the folder of a device that doesn't run."""
    settings = load_settings(home)
    schemas = [keeper.SCHEMA, REQUESTS, READING, link.SCHEMA]
    with State.open(home / STATE_NAME, schemas=schemas) as state:
        kept = _keeper(home, settings, state)
        kept.start(now_us=takes[0].start_us)
        try:
            for take in takes:
                _film(home, settings, take, kept)
        finally:
            kept.close()


def _film(home: Path, settings: DeviceSettings, take: Take, kept: keeper.Keeper) -> None:
    like_daemon = film_settings(settings, home=home)
    told = replace(
        like_daemon,
        speed=0,
        labels="off",
        recorder=take.recorder,
        capture=replace(like_daemon.capture, loop=False),
    )
    film = Film(
        parse_source(take.source, base=home),
        settings=told,
        new_id=new_event_id,
        sink=kept.sink,
        clock=LeapingClock(take.start_us),
    )
    film.start()
    assert film.join(FILMED_WITHIN_S), "filming does not end"
    film.stop()
    assert film.join(FILMED_WITHIN_S)


def _keeper(home: Path, settings: DeviceSettings, state: State) -> keeper.Keeper:
    name = settings.device.name
    key = DeviceKey.load(home / KEY_NAME)
    failures: list[Exception] = []
    return keeper.Keeper(
        recipient=owner_public(home / settings.owner_file).recipient,
        state=state,
        ring=ClipRing(
            home / CLIPS_NAME, state, device=name, max_bytes=settings.storage.max_bytes, max_age_s=30 * 86_400,
            pinned_share=settings.storage.pinned_share, clock=system_now_us,
        ),
        chain=CaptureChain(state, key, device=name, camera=keeper.CAMERA),
        reporter=link.Reporter(
            link.DeviceCard(device=name, name=name, kind=settings.device.kind, version=VERSION),
            outbox=link.Outbox(state, limits=link.OutboxLimits(), expect_receipts=False),
            retained=link.RetainedTable(), wake=lambda: None, tell_reviews=False,
        ),
        on_failure=failures.append,
        max_age_us=30 * DAY_US,
    )  # fmt: skip
