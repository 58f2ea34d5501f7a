"""All cosigners at once: who is waited for, who is not, whose word counts, and what clocks may do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from broker.log.cosigned.panel import CosignTiming, Panel
from broker.log.cosigned.quorum import Quorum
from broker.wire.encoding import WireError
from broker.wire.notes import Note, cosigned_at, parse_note
from broker.wire.proofs import parse_policy
from tests.log.cosigner_support import NOW_S, QUICK, PlayedCosigner, head_of, http_client, panel_of, playing
from tests.log.mirror_support import LOG_VERIFIER, ORIGIN, Tree
from tests.log.support import Clock


class Round:
    """A quorum that runs, and what it told of late answers."""

    def __init__(self, quorum: Quorum, clock: Clock) -> None:
        self.quorum = quorum
        self.clock = clock
        self.late = asyncio.Event()

    async def gather(self, tree: Tree, *, since_s: float = 0.0) -> Note | None:
        return await self.quorum.gather(head_of(tree), since_s=since_s)

    def error_of(self, played: PlayedCosigner) -> str:
        (found,) = (one for one in self.quorum.status if one.name == played.name)
        return found.error or ""


@contextlib.asynccontextmanager
async def running(panel: Panel, *, timing: CosignTiming = QUICK) -> AsyncIterator[Round]:
    clock = Clock()
    async with http_client() as http:
        late = asyncio.Event()
        policy = parse_policy(panel.policy(LOG_VERIFIER))
        quorum = Quorum(panel, policy=policy, http=http, now_us=clock, timing=timing, on_late=late.set)
        task = asyncio.create_task(quorum.run())
        found = Round(quorum, clock)
        found.late = late
        try:
            yield found
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def signers(note: Note | None, cosigners: Sequence[PlayedCosigner]) -> set[str]:
    assert note is not None
    return {one.name for one in cosigners if cosigned_at(note, one.verifier) is not None}


@pytest.fixture
async def three() -> AsyncIterator[list[PlayedCosigner]]:
    cosigners = [PlayedCosigner(f"{name}.example.org") for name in "abc"]
    async with playing(*cosigners, origin=ORIGIN):
        yield cosigners


async def test_all_sign_the_same_head(three: list[PlayedCosigner]) -> None:
    """Those that answer at once are all in the note, after the log's own signature and in the panel's order."""
    async with running(panel_of(three)) as found:
        note = await found.gather(Tree().grow(5))
        assert signers(note, three) == {one.name for one in three}
        assert note is not None
        assert [one.name for one in note.signatures] == [ORIGIN, *(one.name for one in three)]
        assert [(one.size, one.cosigned_s, one.error) for one in found.quorum.status] == [(5, NOW_S, None)] * 3


async def test_a_slow_one_is_not_waited_for(three: list[PlayedCosigner]) -> None:
    """With a quorum there, the rest get a moment; what comes later is told, and is in the note the next time."""
    slow = three[2]
    slow.gate.clear()
    async with running(panel_of(three, witnesses_needed=2)) as found:
        tree = Tree().grow(5)
        async with asyncio.timeout(0.9):
            note = await found.gather(tree)
        assert signers(note, three) == {"a.example.org", "b.example.org"}
        slow.gate.set()
        await found.late.wait()
        assert slow.name in signers(await found.gather(tree), three)
        assert len(three[0].asked) == 1  # who signed this head is not asked again


async def test_one_that_is_still_busy_is_asked_about_the_newest_head(three: list[PlayedCosigner]) -> None:
    """It is not asked about two heads at once, and heads that came and went meanwhile are skipped."""
    slow = three[2]
    slow.gate.clear()
    async with running(panel_of(three, witnesses_needed=2)) as found:
        tree = Tree()
        for _ in range(3):
            await found.gather(tree.grow(2))
        slow.gate.set()
        await found.late.wait()
        note = await found.gather(tree)
        assert signers(note, three) == {one.name for one in three}
        assert [parse_note(one.checkpoint).text.split("\n")[1] for one in slow.asked] == ["2", "6"]


async def test_a_lie_costs_only_the_liars_word(three: list[PlayedCosigner]) -> None:
    """One that signs another tree and one that answers nonsense don't keep the third from making a quorum."""
    fork = Tree(salt=b"fork").grow(5)
    three[0].bend = lambda _: Response(three[0].lines(fork.note()))
    three[1].bend = lambda _: Response("7\n7\n", 409)
    async with running(panel_of(three, witnesses_needed=1)) as found:
        note = await found.gather(Tree().grow(5))
        assert signers(note, three) == {"c.example.org"}
        assert "does not verify" in found.error_of(three[0])
        assert "without a reason" in found.error_of(three[1])


async def test_without_a_quorum_there_is_nothing(three: list[PlayedCosigner]) -> None:
    """Two of three fail at once: the answer comes at once, too, and says nothing."""
    for one in three[:2]:
        one.bend = lambda _: Response(status_code=500)
    async with running(panel_of(three, witnesses_needed=2), timing=replace(QUICK, first_retry_s=60)) as found:
        async with asyncio.timeout(0.9):
            assert await found.gather(Tree().grow(5)) is None
        assert len(three[0].asked) == 1
        assert await found.gather(Tree().grow(6)) is None  # those that failed are left in peace for a while
        assert len(three[0].asked) == 1
        assert len(three[2].asked) == 2


async def test_a_mirror_is_no_witness(three: list[PlayedCosigner]) -> None:
    """Three witnesses do not make up for the mirror that the policy asks for."""
    mirror = PlayedCosigner("m.example.org", kind="mirror")
    async with playing(mirror, origin=ORIGIN), running(panel_of([*three, mirror], witnesses_needed=1)) as found:
        mirror.bend = lambda _: Response(status_code=503)
        tree = Tree().grow(3)
        assert await found.gather(tree) is None
        mirror.bend = lambda _: None
        await asyncio.sleep(QUICK.last_retry_s)
        assert mirror.name in signers(await found.gather(tree), [*three, mirror])


async def test_a_cosigners_clock_set_back_costs_its_word_until_it_has_caught_up(three: list[PlayedCosigner]) -> None:
    """What is published of one cosigner never goes back in time; the cosignature that was there stays there."""
    async with running(panel_of(three, witnesses_needed=2)) as found:
        tree = Tree().grow(3)
        await found.gather(tree)
        three[0].at_s -= 3_600
        now_s = asyncio.get_running_loop().time()
        note = await found.gather(tree, since_s=now_s)
        assert note is not None
        assert cosigned_at(note, three[0].verifier) == NOW_S
        assert found.error_of(three[0]) == "its clock was set back: it signs 3600 s before it did last"
        await asyncio.sleep(QUICK.last_retry_s)
        assert three[0].name not in signers(await found.gather(tree.grow(1)), three)
        three[0].at_s = NOW_S
        await asyncio.sleep(2 * QUICK.last_retry_s)
        assert three[0].name in signers(await found.gather(tree), three)


async def test_a_time_far_ahead_is_not_taken(three: list[PlayedCosigner]) -> None:
    """A clock that is years ahead would keep that witness silent for years once it is right."""
    three[0].at_s += 10 * 365 * 24 * 3_600
    async with running(panel_of(three, witnesses_needed=2)) as found:
        note = await found.gather(Tree().grow(3))
        assert signers(note, three) == {"b.example.org", "c.example.org"}
        assert "ahead of ours" in found.error_of(three[0])


async def test_our_own_clock_set_back_stops_nothing(three: list[PlayedCosigner]) -> None:
    """What is ahead is measured from the newest time that our clock ever told while we ran."""
    async with running(panel_of(three)) as found:
        tree = Tree().grow(3)
        await found.gather(tree)
        found.clock.now_us -= 400 * 24 * 3_600 * 1_000_000
        assert signers(await found.gather(tree.grow(1)), three) == {one.name for one in three}


async def test_a_published_checkpoint_tells_where_each_stands(three: list[PlayedCosigner]) -> None:
    """After a restart the sizes are known, and so are the times before which nothing is taken."""
    panel, tree = panel_of(three, witnesses_needed=2), Tree().grow(3)
    async with running(panel) as found:
        note = await found.gather(tree)
    assert note is not None
    three[0].at_s -= 10
    async with running(panel) as found:
        found.quorum.learn(note)
        assert [one.size for one in found.quorum.status] == [3, 3, 3]
        again = await found.gather(tree.grow(1))
        assert signers(again, three) == {"b.example.org", "c.example.org"}
        assert three[1].asked[-1].old_size == 3


def test_more_can_not_be_needed_than_are_invited() -> None:
    """A policy that nobody can meet is refused where it is made."""
    with pytest.raises(WireError, match="2 witnesses are needed, and 1 are invited"):
        panel_of([PlayedCosigner("w.example.org")], witnesses_needed=2)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_there_is_a_note_if_and_only_if_a_quorum_signed(data: st.DataObject) -> None:
    """Whoever fails, and however: a note comes out exactly where the policy that devices pin accepts it."""
    kinds = data.draw(st.lists(st.sampled_from(["witness", "mirror"]), min_size=1, max_size=4))
    cosigners = [
        PlayedCosigner(f"{number}.example.org", kind="mirror" if kind == "mirror" else "witness")
        for number, kind in enumerate(kinds)
    ]
    needed = {kind: data.draw(st.integers(0, kinds.count(kind))) for kind in ("witness", "mirror")}
    fails = data.draw(st.lists(st.booleans(), min_size=len(kinds), max_size=len(kinds)))

    async def gather() -> tuple[Panel, Note | None]:
        async with playing(*cosigners, origin=ORIGIN):
            panel = panel_of(cosigners, witnesses_needed=needed["witness"], mirrors_needed=needed["mirror"])
            for one, failing in zip(cosigners, fails, strict=True):
                if failing:
                    one.bend = lambda _: Response(status_code=500)
            async with running(panel) as found:
                return panel, await found.gather(Tree().grow(2))

    panel, note = asyncio.run(gather())
    working = [kind for kind, failing in zip(kinds, fails, strict=True) if not failing]
    met = all(working.count(kind) >= needed[kind] for kind in needed)
    assert (note is not None) == met
    if note is not None:
        assert parse_policy(panel.policy(LOG_VERIFIER)).check(str(note).encode()).size == 2
