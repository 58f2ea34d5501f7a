"""What the feed says of asked deletions: on the request's page, in its agency's record, and to programs."""

from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import fromstring

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from broker.feed import routes
from broker.log.history.book import Book
from broker.wire.deletions import DeletionsAsked
from broker.wire.rules import DAY_US
from tests.feed.simulator import SimulatedService
from tests.feed.support import URL
from tests.log.support import NOW_US, OPERATOR, admission, asked, leaf_of

ATOM = "{http://www.w3.org/2005/Atom}"
DAY = NOW_US // DAY_US * DAY_US
FIRST, SECOND = asked(case="one"), asked(case="two")
LEAF = leaf_of(FIRST)


def deletions(request: bytes, *, day: int, count: int) -> bytes:
    record = DeletionsAsked(agency="springfield-pd", request=leaf_of(request), day=DAY + day * DAY_US, count=count)
    return record.sign(OPERATOR)


@pytest.fixture
def service(tmp_path: Path) -> SimulatedService:
    """A log of two requests."""
    service = SimulatedService(Book(tmp_path / "book"), now_us=lambda: NOW_US + 9 * DAY_US)
    for entry in (admission(), FIRST, SECOND):
        service.book.apply(service.book.size, entry)
    return service


@pytest_asyncio.fixture
async def client(service: SimulatedService) -> AsyncIterator[httpx.AsyncClient]:
    """Who reads its pages."""
    transport = httpx.ASGITransport(Starlette(routes=routes(service)))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client
    service.book.close()


async def test_where_nobody_asked_nothing_is_said(client: httpx.AsyncClient) -> None:
    """No notice on the request's page; a nought in the agency's record."""
    assert "Asked to delete" not in (await client.get(f"/requests/{LEAF}")).text
    assert "Nobody who gave it footage" in (await client.get("/agencies/springfield-pd")).text
    assert (await client.get(f"/api/requests/{LEAF}")).json()["deletions_asked"] == 0
    agency = (await client.get("/api/agencies/springfield-pd")).json()
    assert (agency["deletions_asked"], agency["requests_asked_back"]) == (0, 0)


async def test_what_was_asked_is_said_to_people_and_programs(
    service: SimulatedService, client: httpx.AsyncClient
) -> None:
    """How many, the last day, the entry that says so; never an hour, a device or a bundle."""
    for entry in (
        deletions(FIRST, day=0, count=1),
        deletions(SECOND, day=1, count=1),
        deletions(FIRST, day=2, count=2),
    ):
        service.book.apply(service.book.size, entry)
    shown = (await client.get(f"/requests/{LEAF}")).text
    assert "3 owners who answered have asked for it, the last on 6 May 2026, entry 5" in shown
    assert "1 owner who answered has asked for it" in (await client.get(f"/requests/{leaf_of(SECOND)}")).text
    agency = (await client.get("/agencies/springfield-pd")).text
    assert "4 owners who answered 2 requests of it asked it to delete what they gave" in agency
    record = (await client.get("/api/agencies/springfield-pd")).json()
    assert (record["deletions_asked"], record["requests_asked_back"]) == (4, 2)
    listed = (await client.get("/api/requests")).json()["requests"]
    assert {one["leaf"]: one["deletions_asked"] for one in listed} == {LEAF: 3, leaf_of(SECOND): 1}
    entries = fromstring((await client.get("/feed.atom")).text).findall(f"{ATOM}entry")
    told = {one.findtext(f"{ATOM}updated"): one.findtext(f"{ATOM}content") for one in entries}
    assert "Asked to delete what it was given: 3" in str(told["2026-05-07T00:00:00.000000Z"])


async def test_what_no_checkpoint_covers_is_not_said_of_a_request(
    service: SimulatedService, client: httpx.AsyncClient
) -> None:
    """A count that awaits its cosignatures is on no request's page; the agency's sums say that they run ahead."""
    service.book.apply(service.book.size, deletions(FIRST, day=0, count=1))
    service.log.unpublished = 1
    assert "Asked to delete" not in (await client.get(f"/requests/{LEAF}")).text
    assert (await client.get(f"/api/requests/{LEAF}")).json()["deletions_asked"] == 0
    assert (await client.get("/api/agencies/springfield-pd")).json()["awaiting"] == 1
    service.log.unpublished = 0
    assert (await client.get(f"/api/requests/{LEAF}")).json()["deletions_asked"] == 1
