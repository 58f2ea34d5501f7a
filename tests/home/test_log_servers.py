"""Those who serve the log: one that lies or talks rubbish is passed over, and none learns what matches."""

from pathlib import Path

import pytest

from broker.wire.tiles import encode_entries
from tests.home.log_support import Household, fill, witnessed_hood


@pytest.mark.parametrize("size", [30, 700])
async def test_a_mirror_that_lies_is_passed_over(tmp_path: Path, size: int) -> None:
    """It serves other entries than its own head stands for: nothing is learnt of them, and the next one is asked."""
    hood = witnessed_hood()
    house = Household(tmp_path, hood, liar=hood.log, mirror=hood.log)
    fill(hood, size)
    house.server.down = {"log"}
    width = min(256, len(hood.log.entries))
    path = "tile/entries/000" if width == 256 else f"tile/entries/000.p/{width}"
    lies = encode_entries([b"a lie", *hood.log.entries[1:width]])
    house.server.instead["liar", path] = lies
    await house.look()
    assert house.follower.size == len(hood.log.entries)
    assert house.follower.kept.void == size
    assert house.evidence is None
    liar = next(one for one in house.reader.sources if one.name == "liar")
    assert "entries" in liar.error
    await house.aclose()


async def test_a_mirror_with_false_tiles_accuses_nobody(tmp_path: Path) -> None:
    """Tiles that don't hash to the head prove nothing against the log."""
    hood = witnessed_hood()
    house = Household(tmp_path, hood, liar=hood.log)
    await house.look()
    fill(hood, 1_000)
    house.server.down = {"log"}
    house.server.instead["liar", "tile/1/000.p/3"] = bytes(96)
    await house.look()
    assert house.evidence is None
    assert house.follower.size == 1
    house.server.down = set()
    await house.look()
    assert house.follower.size == 1_001
    await house.aclose()


@pytest.mark.parametrize("path", ["checkpoint", "tile/entries/000.p/41"])
@pytest.mark.parametrize("answer", [b"<html>", b"x" * 20_000_000, b""], ids=["page", "endless", "empty"])
async def test_rubbish_and_too_much_are_passed_over(house: Household, path: str, answer: bytes) -> None:
    """An error page, a file that is too large: the other one is read."""
    fill(house.hood, 40)
    house.server.instead["log", path] = answer
    await house.look()
    assert house.reader.sources[0].error
    assert house.follower.size == 41
    assert house.evidence is None


async def test_what_is_asked_of_the_log_does_not_depend_on_what_matches(tmp_path: Path) -> None:
    """Two devices, one with a clip of everything, one with none: those who serve the log can't tell them apart."""
    asked = []
    for films in (True, False):
        hood = witnessed_hood()
        house = Household(tmp_path / str(films), hood, mirror=hood.log)
        if films:
            house.shelf.film("c1")
        for step in range(4):
            found = [hood.announced(case=f"{step} {number}") for number in range(3)]
            fill(hood, 100 * step)
            await house.look(*found)
            await house.look()
        assert ("offered" in house.states().values()) is films
        asked.append(house.server.asked)
        await house.aclose()
    assert asked[0] == asked[1]
    assert {path.partition(".p/")[0].rpartition("/")[0] for _, path in asked[0]} <= {
        "",
        "tile/entries",
        "tile/0",
        "tile/1",
    }
