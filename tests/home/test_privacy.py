"""The privacy switch: at once, kept, told, and the last word counts."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import link
from device.privacy import PrivacySwitch
from device.vault.errors import VaultError
from device.video.film import Film
from device.video.film_settings import FilmSettings
from device.video.source.capture import parse_source
from tests.home.support import Kept
from tests.video.support import Ids

TOPIC = "latchstring/porch/privacy"


class Switched:
    """A switch over a real state, with a film that is not begun and what would be told of it."""

    def __init__(self, kept: Kept) -> None:
        self.pauses: dict[str, str] = {}
        self.film = Film(parse_source("scene:empty-porch"), settings=FilmSettings(), new_id=Ids(), sink=lambda _: None)
        reporter = link.Reporter(
            link.DeviceCard(device="porch", name="porch", kind="doorbell", version="0"),
            outbox=kept.outbox, retained=kept.retained, wake=lambda: None, tell_reviews=False,
        )  # fmt: skip
        self.switch = PrivacySwitch(kept.state, film=self.film, reporter=reporter, pauses=self.pauses)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    kept.close()


def told(kept: Kept) -> list[bytes]:
    return [value.payload for value in kept.retained.newer_than(0) if value.topic == TOPIC]


async def test_the_switch_is_kept_and_told(kept: Kept) -> None:
    """On, off and over a restart: film, state and home agree."""
    one = Switched(kept)
    one.switch.begin()
    assert (one.switch.on, one.film.health().state, told(kept)) == (False, "starting", [b"OFF"])
    await one.switch.throw(True)
    assert (one.switch.on, one.film.health().state, told(kept)) == (True, "private", [b"ON"])
    again = Switched(kept)
    again.switch.begin()
    assert (again.switch.on, again.film.health().state) == (True, "private")
    await again.switch.throw(False)
    assert (Switched(kept).switch.on, told(kept)) == (False, [b"OFF"])


async def test_the_last_word_counts(kept: Kept) -> None:
    """However quickly one word follows another, from home or from the owner's tools."""
    one = Switched(kept)
    for on in (True, False, True, False, True):
        one.switch.asked(on)
    await one.switch.throw(False)
    await one.switch.throw(True)
    assert (one.switch.on, one.film.health().state, told(kept), one.pauses) == (True, "private", [b"ON"], {})


async def test_what_can_not_be_kept_is_told_and_films_nothing(kept: Kept) -> None:
    """On takes effect all the same; the owner's tools get the error, and of home's word the problem is told."""
    one = Switched(kept)
    kept.state._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(VaultError):
        await one.switch.throw(True)
    assert (one.switch.on, one.film.health().state, told(kept)) == (False, "private", [])
    one.switch.asked(True)
    await asyncio.gather(*one.switch._tasks)
    assert "readonly" in one.pauses["privacy"]
    kept.state._connection.execute("PRAGMA query_only = OFF")
    await one.switch.throw(True)
    assert one.pauses == {}
