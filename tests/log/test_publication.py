"""From the head to what the public reads: with a quorum's cosignatures it is served and announced, else not at all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response

from broker.log.cosigned.panel import CosignTiming, Panel
from broker.log.intake import Refused
from broker.log.sequencer import Sequencer
from broker.log.server import routes
from broker.log.service import LogService, Submitted
from broker.log.storage.folder import FolderStorage
from broker.wire import topics
from broker.wire.notes import cosigned_at, parse_note
from broker.wire.proofs import Policy, parse_policy, verify_proof
from broker.wire.topics import parse_announcement
from tests.log.cosigner_support import NOW_S, QUICK, PlayedCosigner, http_client, panel_of, playing
from tests.log.mirror_support import Tree, serving
from tests.log.support import (
    LOG_VERIFIER,
    OPERATOR,
    ORIGIN,
    Broker,
    Clock,
    CuttingStorage,
    admission,
    asked,
    leaf_of,
    request,
)


@dataclass
class Party:
    """An operator with cosigners, served over HTTP."""

    service: LogService
    broker: Broker
    http: httpx.AsyncClient
    url: str
    policy: Policy

    async def post(self, envelope: bytes) -> httpx.Response:
        return await self.http.post(f"{self.url}/entries", content=envelope)

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(f"{self.url}/{path}")

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - any state of the service, which tells nobody of it
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def operating(
    folder: Path, panel: Panel, *, timing: CosignTiming = QUICK, answer_after_s: float = 5.0
) -> AsyncIterator[Party]:
    broker, storage = Broker(), FolderStorage(folder)
    async with http_client() as http:
        sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN, panel=panel)
        service = LogService(
            sequencer=sequencer,
            operator=OPERATOR,
            publish=broker.publish,
            now_us=Clock(),
            http=http,
            timing=timing,
            answer_after_s=answer_after_s,
        )
        await service.start()
        announcing = asyncio.create_task(service.run())
        try:
            async with serving(routes(service, storage)) as port:
                url = f"http://127.0.0.1:{port}/log"
                yield Party(service, broker, http, url, parse_policy(panel.policy(LOG_VERIFIER)))
        finally:
            announcing.cancel()
            await asyncio.gather(announcing, return_exceptions=True)
            await service.close()


@pytest.fixture
async def pair() -> AsyncIterator[list[PlayedCosigner]]:
    """A witness and a mirror, both needed."""
    cosigners = [PlayedCosigner("w.example.org"), PlayedCosigner("m.example.org", kind="mirror")]
    async with playing(*cosigners, origin=ORIGIN):
        yield cosigners


def fail(*cosigners: PlayedCosigner) -> None:
    for one in cosigners:
        one.bend = lambda _: Response(status_code=500)


def mend(*cosigners: PlayedCosigner) -> None:
    for one in cosigners:
        one.bend = lambda _: None


async def test_an_entry_comes_back_with_a_proof_that_devices_accept(tmp_path: Path, pair: list[PlayedCosigner]) -> None:
    """201 once witness and mirror have cosigned; served checkpoint, proof and announcement all meet the policy."""
    async with operating(tmp_path, panel_of(pair)) as party:
        await party.post(admission())
        answer = await party.post(asked())
        assert answer.status_code == 201
        assert verify_proof(asked(), answer.json()["proof"].encode(), party.policy)[0] == 1
        served = (await party.get("checkpoint")).content
        assert party.policy.check(served).size == 2
        assert all(cosigned_at(parse_note(served), one.verifier) == NOW_S for one in pair)
        await party.until(lambda: bool(party.broker.requests()))
        (payload,) = party.broker.requests().values()
        verify_proof(asked(), parse_announcement(payload).proof, party.policy)
        assert [(one.size, one.error) for one in party.service.cosigners] == [(2, None), (2, None)]
        assert parse_policy((await party.get("policy")).text) == party.policy


async def test_what_is_not_cosigned_stays_inside(tmp_path: Path, pair: list[PlayedCosigner]) -> None:
    """202 without a proof, 503 for the proof, the checkpoint of before, no announcement; all of it comes later."""
    async with operating(tmp_path, panel_of(pair), answer_after_s=0.2) as party:
        await party.post(admission())
        # On a busy machine it is answered before it is published.
        await party.until(
            lambda: (
                (note := party.broker.retained.get(topics.CHECKPOINT)) is not None
                and party.policy.check(note).size == 1
            )
        )
        before = (await party.get("checkpoint")).content
        fail(pair[0])
        answer = await party.post(asked())
        assert (answer.status_code, answer.json()) == (202, {"index": 1, "leaf": leaf_of(asked())})
        assert (await party.post(asked())).status_code == 202  # the same again is the same entry
        waiting = await party.get(f"proof/{leaf_of(asked())}")
        assert (waiting.status_code, waiting.json()["error"]["code"]) == (503, "awaiting")
        assert int(waiting.headers["retry-after"]) > 0
        assert (await party.get("checkpoint")).content == before
        assert (await party.get("tile/entries/000.p/2")).status_code == 200  # a mirror needs it before it can cosign
        assert not party.broker.requests()
        assert party.policy.check(party.broker.retained[topics.CHECKPOINT]).size == 1
        mend(pair[0])
        await party.until(lambda: bool(party.broker.requests()))
        proof = await party.get(f"proof/{leaf_of(asked())}")
        assert verify_proof(asked(), proof.content, party.policy)[0] == 1
        assert (await party.post(asked())).status_code == 200


async def test_before_the_first_quorum_there_is_no_checkpoint(tmp_path: Path, pair: list[PlayedCosigner]) -> None:
    """A new log whose witnesses are not there yet runs, takes entries, and serves 503 where the checkpoint will be."""
    fail(*pair)
    async with operating(tmp_path, panel_of(pair), answer_after_s=0.1) as party:
        assert (await party.post(admission())).status_code == 202
        missing = await party.get("checkpoint")
        assert (missing.status_code, "retry-after" in missing.headers) == (503, True)
        assert not party.broker.published
        assert not (tmp_path / "checkpoint").exists()
        mend(*pair)
        await party.until(lambda: party.service.log.published_size == 1)
        assert party.policy.check((await party.get("checkpoint")).content).size == 1


async def test_limits_count_what_is_not_published_yet(tmp_path: Path, pair: list[PlayedCosigner]) -> None:
    """Two posts a case is two posts a case while the witnesses are away, too."""
    async with operating(tmp_path, panel_of(pair), answer_after_s=0.05) as party:
        await party.post(admission())
        fail(*pair)
        statuses = [(await party.post(asked(description=f"Number {number}."))).status_code for number in range(3)]
        assert statuses == [202, 202, 422]


async def test_a_head_that_was_never_published_is_published_after_a_restart(
    tmp_path: Path, pair: list[PlayedCosigner]
) -> None:
    """Between head and publication the process ends; the next one has the head cosigned as any other."""
    fail(*pair)
    async with operating(tmp_path, panel_of(pair), answer_after_s=0.05) as party:
        await party.post(admission())
    mend(*pair)
    async with operating(tmp_path, panel_of(pair)) as party:
        await party.until(lambda: party.service.log.published_size == 1)
        assert (await party.post(admission())).status_code == 200


async def test_a_disk_that_fails_at_the_publication_is_tried_again(tmp_path: Path) -> None:
    """The entry is in the log and stays unannounced; once the disk works it is published without being sent again."""
    broker = Broker()
    storage = CuttingStorage(FolderStorage(tmp_path), cut_at=6, done=False)
    sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN)
    service = LogService(
        sequencer=sequencer, operator=OPERATOR, publish=broker.publish, now_us=Clock(), answer_after_s=0.05
    )
    await service.start()
    submitted = await service.submit(admission())
    assert isinstance(submitted, Submitted)
    assert submitted.proof is None
    assert await service.log.until_published(0, within_s=5)
    await service.close()


async def test_a_stronger_policy_hides_what_was_published_under_the_weaker(
    tmp_path: Path, pair: list[PlayedCosigner]
) -> None:
    """A log that invites a mirror serves nothing that devices with the new policy refuse, until the mirror cosigned."""
    witness, mirror = pair
    async with operating(tmp_path, panel_of([witness])) as party:
        assert (await party.post(admission())).status_code == 201
    fail(mirror)
    async with operating(tmp_path, panel_of(pair)) as party:
        assert (await party.get("checkpoint")).status_code == 503
        assert (await party.get(f"proof/{leaf_of(admission())}")).status_code == 503
        mend(mirror)
        await party.until(lambda: party.service.log.published_size == 1)
        assert party.policy.check((await party.get("checkpoint")).content).size == 1


async def test_a_witness_that_saw_another_tree_never_cosigns_this_one(
    tmp_path: Path, pair: list[PlayedCosigner]
) -> None:
    """A log that was put back from a backup, or forked, stays at what was published; the status says who says so."""
    other = Tree(salt=b"other").grow(7)
    pair[0].size, pair[0].root = other.size, other.root()
    async with operating(tmp_path, panel_of(pair), answer_after_s=0.2) as party:
        assert (await party.post(admission())).status_code == 202
        await party.until(lambda: party.service.cosigners[0].error is not None)
        assert "it knows 7 entries of this log, which has" in (party.service.cosigners[0].error or "")
        assert (await party.get("checkpoint")).status_code == 503


async def test_while_nothing_is_posted_the_head_is_cosigned_again(tmp_path: Path, pair: list[PlayedCosigner]) -> None:
    """So devices can tell a quiet log from one that is withheld from them; its time only goes up."""
    times: list[int] = []
    async with operating(tmp_path, panel_of(pair), timing=replace(QUICK, again_every_s=0.1)) as party:

        def published_s() -> int:
            note = (tmp_path / "checkpoint").read_bytes() if (tmp_path / "checkpoint").exists() else None
            times.append(0 if note is None else party.policy.witnessed(note).at_s or 0)
            return times[-1]

        for at_s in range(NOW_S, NOW_S + 4):
            pair[0].at_s = pair[1].at_s = at_s
            await party.until(lambda at_s=at_s: published_s() == at_s)  # type: ignore[misc]
        assert party.policy.check((await party.get("checkpoint")).content).size == 0
        pair[0].at_s = pair[1].at_s = NOW_S  # both clocks are set back
        await party.until(lambda: all("set back" in (one.error or "") for one in party.service.cosigners))
        assert published_s() == NOW_S + 3
    assert times == sorted(times)


async def test_a_late_cosignature_is_published_too(tmp_path: Path) -> None:
    """One that is not needed and slow stands on the checkpoint all the same, if nothing newer came meanwhile."""
    quick, slow = PlayedCosigner("q.example.org"), PlayedCosigner("s.example.org")
    slow.gate.clear()
    async with (
        playing(quick, slow, origin=ORIGIN),
        operating(tmp_path, panel_of([quick, slow], witnesses_needed=1)) as party,
    ):
        assert (await party.post(admission())).status_code == 201
        assert cosigned_at(parse_note((await party.get("checkpoint")).content), slow.verifier) is None
        slow.gate.set()
        await party.until(lambda: party.service.cosigners[1].size == 1)
        await asyncio.sleep(0.1)
        assert cosigned_at(parse_note((await party.get("checkpoint")).content), slow.verifier) == NOW_S


async def test_nothing_without_a_quorum_is_ever_served_or_announced(tmp_path: Path, pair: list[PlayedCosigner]) -> None:
    """While cosigners come and go and agencies post on, every checkpoint that gets out meets the policy, and grows."""
    seen: list[bytes] = []
    stop = asyncio.Event()

    async def watch(party: Party) -> None:
        while not stop.is_set():
            answer = await party.get("checkpoint")
            if answer.status_code == 200:
                seen.append(answer.content)
            await asyncio.sleep(0)

    async with operating(tmp_path, panel_of(pair), answer_after_s=0.02) as party:
        watching = asyncio.create_task(watch(party))
        await party.post(admission())
        for number in range(24):
            (fail if number % 3 else mend)(pair[number % 2])
            (fail if number % 4 == 1 else mend)(pair[(number + 1) % 2])
            await party.post(asked(case=f"case {number}"))
        mend(*pair)
        await party.until(lambda: party.service.log.published_size == party.service.log.size)
        await party.until(lambda: len(party.broker.requests()) == party.service.book.count())
        stop.set()
        await watching
        sizes = [party.policy.check(note).size for note in seen]
        assert sizes == sorted(sizes)
        assert len(set(sizes)) > 2
        for topic, payload in party.broker.published:
            if topic == topics.CHECKPOINT:
                party.policy.check(payload)
            else:
                said = parse_announcement(payload)
                verify_proof(said.envelope, said.proof, party.policy)


async def test_a_submission_does_not_hold_up_others_of_its_agency(tmp_path: Path, pair: list[PlayedCosigner]) -> None:
    """Only the decision is made one after the other; the wait for witnesses is shared."""
    async with operating(tmp_path, panel_of(pair), answer_after_s=0.3) as party:
        await party.post(admission())
        fail(*pair)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        posts = [request(case=f"case {number}") for number in range(6)]
        answers = await asyncio.gather(*(party.service.submit(asked(case=one.case)) for one in posts))
        assert all(isinstance(one, Submitted) and one.proof is None for one in answers), answers
        assert not any(isinstance(one, Refused) for one in answers)
        assert loop.time() - began_s < 6 * 0.3
