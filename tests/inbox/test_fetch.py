"""The agency's side of the inbox: who may list and download, and how ranges are served."""

import random

import httpx
import pytest

from broker.wire.encoding import to_base64
from broker.wire.inbox import FETCH_FRESH_US
from broker.wire.records import Fetch
from tests.inbox.support import NOW_US, World, chunk, creation, error_code, key_of, make_agency, make_request

DATA = random.Random(3).randbytes(5_000)


async def delivered(client: httpx.AsyncClient, world: World, *, key: str = "once") -> str:
    made = await client.post("/inbox", headers=creation(world.promise(DATA, key=key), len(DATA)))
    assert (await client.patch(made.headers["location"], headers=chunk(0), content=DATA)).status_code == 204
    return made.headers["location"].rpartition("/")[2]


async def listed(client: httpx.AsyncClient, world: World, claim: str, leaf: str | None = None) -> httpx.Response:
    return await client.get(f"/inbox/requests/{leaf or world.leaf}", headers={"Authorization": claim})


async def test_list_and_download(world: World) -> None:
    """The agency sees whole bundles alone, and gets their bytes, in ranges too."""
    async with world.client() as client:
        name = await delivered(client, world)
        await client.post("/inbox", headers=creation(world.promise(b"unsent", key="two"), 6))
        answer = await listed(client, world, world.claim())
        (bundle,) = answer.json()["bundles"]
        assert (bundle["id"], bundle["bytes"]) == (name, len(DATA))
        where, claim = f"/inbox/bundles/{name}", {"Authorization": world.claim()}
        whole = await client.get(where, headers=claim)
        assert (whole.status_code, whole.content) == (200, DATA)
        assert whole.headers["etag"] == f'"{bundle["sha256"]}"'
        part = await client.get(where, headers={**claim, "Range": "bytes=4990-"})
        assert (part.status_code, part.content) == (206, DATA[4_990:])
        assert part.headers["content-range"] == "bytes 4990-4999/5000"
        beyond = await client.get(where, headers={**claim, "Range": "bytes=5000-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */5000")
        other = await client.get(where, headers={**claim, "Range": "bytes=1-2", "If-Range": '"other"'})
        assert (other.status_code, other.content) == (200, DATA)


async def test_after_the_request_closed(world: World) -> None:
    """What arrived stays the agency's when the request has expired or was withdrawn."""
    async with world.client() as client:
        await delivered(client, world)
        world.book.closed.add(world.leaf)
        assert len((await listed(client, world, world.claim())).json()["bundles"]) == 1


async def test_no_oracle(world: World) -> None:
    """Unknown request, another agency's claim, a forged one, and a claim for another request get one answer."""
    world.book.add(make_request("southtown-police"), make_agency("southtown-police"))
    second = world.book.add(make_request(case="26-0002"), make_agency())
    forged = Fetch(agency="northtown-police", request=world.leaf, at=NOW_US).sign(key_of("southtown-police"))
    async with world.client() as client:
        name = await delivered(client, world)
        answers = [
            await listed(client, world, world.claim(leaf="0" * 64), "0" * 64),
            await listed(client, world, world.claim(agency="southtown-police")),
            await listed(client, world, "DSSE " + to_base64(forged)),
            await listed(client, world, world.claim(leaf=second)),
            await listed(client, world, world.claim(), second),
            await listed(client, world, world.claim(), "../" + world.leaf),
            await client.get(f"/inbox/bundles/{name}", headers={"Authorization": world.claim(leaf=second)}),
            await client.get(f"/inbox/bundles/{'0' * 32}", headers={"Authorization": world.claim()}),
        ]
        assert {answer.status_code for answer in answers} == {404}
        spoken = {answer.content for answer in answers if answer.headers["content-type"] == "application/json"}
        assert len(spoken) == 1


@pytest.mark.parametrize("late_us", [FETCH_FRESH_US + 1, -FETCH_FRESH_US - 1])
async def test_stale_claims(world: World, late_us: int) -> None:
    """A claim counts for minutes, and one from the future doesn't count; only its signer learns why."""
    async with world.client() as client:
        await delivered(client, world)
        claim = world.claim()
        theirs = world.claim(agency="southtown-police")
        world.clock.now_us += late_us
        answer = await listed(client, world, claim)
        assert (answer.status_code, error_code(answer)) == (403, "stale")
        assert (await listed(client, world, theirs)).status_code == 404


@pytest.mark.parametrize("claim", [None, "", "DSSE", "DSSE ", "Basic QUJD", "DSSE QUJD", "DSSE !!!!", "dsse QUJD"])
async def test_no_claim(world: World, claim: str | None) -> None:
    """Without a readable claim there is 401, and the scheme that is wanted."""
    async with world.client() as client:
        headers = {} if claim is None else {"Authorization": claim}
        for where in (f"/inbox/requests/{world.leaf}", f"/inbox/bundles/{'0' * 32}"):
            answer = await client.get(where, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "DSSE")
            error_code(answer)


async def test_new_key_of_an_agency(world: World) -> None:
    """After an agency's record was renewed with another key, the old key opens nothing."""
    async with world.client() as client:
        await delivered(client, world)
        request, agency = world.book.requests[world.leaf]
        renewed = agency.model_copy(update={"key": make_agency("southtown-police").key})
        world.book.requests[world.leaf] = (request, renewed)
        assert (await listed(client, world, world.claim())).status_code == 404
        fresh = Fetch(agency=agency.agency, request=world.leaf, at=NOW_US).sign(key_of("southtown-police"))
        assert (await listed(client, world, "DSSE " + to_base64(fresh))).status_code == 200
