"""When the console is open, when it locks, and what it says of wrong passphrases; by a clock that the test turns."""

import asyncio
from pathlib import Path

import pytest

from device.console.attempts import Attempts
from device.console.cell import LEFT_S, SHOWN_S, Cell
from device.console.errors import ApiError
from device.console.household import Household
from device.console.passkeys import Passkeys
from device.vault.disk import write_secret
from device.vault.keys import Argon2Cost, create_owner
from tests.console.apart import apart

CHEAP = Argon2Cost(memory_kib=8 * 1024, iterations=1, lanes=1)
PASSPHRASE = "three small boats"
IDLE_S = 600.0


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_us = 1_000_000_000

    def __call__(self) -> int:
        return self.now_us

    def pass_s(self, seconds: float) -> None:
        self.now_us += int(seconds * 1_000_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cell(tmp_path: Path, clock: Clock) -> Cell:
    data, public = create_owner(PASSPHRASE, cost=CHEAP)
    write_secret(tmp_path / "owner.key.json", data)
    write_secret(tmp_path / "owner.pub.json", public.to_json())
    passkeys = Passkeys(tmp_path / "owner.passkeys.json", origin="http://localhost:1", now_us=clock)
    return Cell(
        household=Household([]),
        owner_key=tmp_path / "owner.key.json",
        passkeys=passkeys,
        lock_after_s=IDLE_S,
        now_us=clock,
        steady_us=clock,
        attempts=Attempts(),
    )


async def unlocked(cell: Cell) -> None:
    await cell.unlock(cell.by_passphrase(PASSPHRASE))


@apart
async def test_only_the_passphrase_opens_it_and_nothing_is_there_before(cell: Cell) -> None:
    with pytest.raises(ApiError, match="locked") as refused:
        _ = cell.unlocked
    assert refused.value.status == 423
    with pytest.raises(ApiError) as wrong:
        await cell.unlock(cell.by_passphrase("three small boat"))
    assert wrong.value.status == 403
    await unlocked(cell)
    assert cell.unlocked.films.identity.startswith("AGE-SECRET-KEY-1")


@apart
async def test_while_it_waits_after_wrong_ones_not_even_the_right_one_is_looked_at(cell: Cell, clock: Clock) -> None:
    for _ in range(4):
        clock.pass_s(60)
        with pytest.raises(ApiError):
            await cell.unlock(cell.by_passphrase("wrong"))
    with pytest.raises(ApiError) as early:
        await unlocked(cell)
    assert early.value.status == 429
    assert early.value.more["wait_s"] == 4
    clock.pass_s(4)
    await unlocked(cell)


@apart
async def test_guesses_made_at_once_are_looked_at_one_by_one(cell: Cell) -> None:
    guesses = (cell.unlock(cell.by_passphrase(f"guess {number}")) for number in range(6))
    refused = await asyncio.gather(*guesses, return_exceptions=True)
    assert [one.status for one in refused if isinstance(one, ApiError)] == [403, 403, 429, 429, 429, 429]


@apart
async def test_it_locks_when_nobody_uses_it_and_not_before(cell: Cell, clock: Clock) -> None:
    await unlocked(cell)
    page = cell.hub.lines()
    reading = asyncio.ensure_future(anext(page))
    await asyncio.sleep(0)
    for _ in range(3):
        clock.pass_s(IDLE_S - 1)
        cell.look_around()
        assert not cell.is_locked
        cell.used()
    clock.pass_s(IDLE_S)
    cell.look_around()
    assert cell.is_locked
    assert b'"locked":true' in await reading


@apart
async def test_it_locks_a_while_after_its_last_page_is_gone_and_not_when_one_is_loaded_again(
    cell: Cell, clock: Clock
) -> None:
    await unlocked(cell)
    cell.look_around()
    clock.pass_s(LEFT_S - 1)
    page = cell.hub.lines({"kind": "state"})
    await anext(page)
    cell.look_around()
    await page.aclose()
    clock.pass_s(LEFT_S - 1)
    cell.look_around()
    clock.pass_s(LEFT_S - 1)
    cell.look_around()
    assert not cell.is_locked
    clock.pass_s(1)
    cell.look_around()
    assert cell.is_locked


@apart
async def test_from_the_moment_it_locks_everything_is_refused_and_it_waits_for_what_is_being_decided(
    cell: Cell,
) -> None:
    await unlocked(cell)
    with cell.deciding():
        decided = asyncio.ensure_future(cell.decided())
        cell.lock()
        with pytest.raises(ApiError, match="locked"):
            _ = cell.unlocked
        await asyncio.sleep(0.15)
        assert not decided.done()
    await asyncio.wait_for(decided, 5)


@apart
async def test_what_is_being_unlocked_when_somebody_locks_stays_locked(cell: Cell) -> None:
    unlocking = asyncio.ensure_future(unlocked(cell))
    await asyncio.sleep(0)
    cell.lock()
    with pytest.raises(ApiError, match="locked"):
        await unlocking
    assert cell.locking.is_set()


@apart
async def test_a_process_that_was_shown_a_wrong_passphrase_is_not_kept(cell: Cell, clock: Clock) -> None:
    cell.look_around()
    clock.pass_s(10 * SHOWN_S)
    cell.look_around()
    assert not cell.locking.is_set()
    with pytest.raises(ApiError):
        await cell.unlock(cell.by_passphrase("three small boat"))
    clock.pass_s(SHOWN_S - 1)
    cell.look_around()
    assert not cell.locking.is_set()
    clock.pass_s(1)
    cell.look_around()
    assert cell.locking.is_set()


@apart
async def test_nor_is_one_that_could_not_look_at_what_it_was_sent(cell: Cell, clock: Clock) -> None:
    cell.shown()
    clock.pass_s(SHOWN_S)
    cell.look_around()
    assert cell.locking.is_set()


@apart
async def test_another_owner_s_key_in_the_file_approves_nothing(cell: Cell, tmp_path: Path) -> None:
    await unlocked(cell)
    data, _ = create_owner(PASSPHRASE, cost=CHEAP)
    (tmp_path / "owner.key.json").write_bytes(data)
    with pytest.raises(ApiError, match="another owner"):
        await cell.open_owner(cell.by_passphrase(PASSPHRASE))
