"""The public pages: everything that was asked, safely shown."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker.feed import nowhere, routes
from broker.feed.source import Source
from broker.log.cosigned.panel import CosignerStatus
from broker.log.history.book import Book
from broker.log.history.query import Filter, Status
from broker.log.service import LogService
from broker.wire.rules import DAY_US, MINUTE_US
from tests.feed.markup import Tags
from tests.feed.simulator import SimulatedService, fill
from tests.feed.site import Site
from tests.feed.support import URL, logged
from tests.log.support import NOW_US, Clock, admission, asked, leaf_of, make_service, refusals, revocation, update

EVIL = "<script>alert(1)</script> \"><img src=x onerror=alert(2)> {{ 7*7 }} ' &amp;"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def service(tmp_path: Path, clock: Clock) -> AsyncIterator[LogService]:
    service = make_service(tmp_path, clock=clock, url=URL)
    await service.start()
    await logged(service, admission())
    yield service
    await service.close()


@pytest.fixture
async def client(service: LogService) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=routes(service)))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


async def page(client: httpx.AsyncClient, path: str, *, status: int = 200) -> Tags:
    answer = await client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Tags(answer.text)


async def test_an_empty_feed_says_so(client: httpx.AsyncClient) -> None:
    """Before the first request there is a page, and it says that nothing was asked."""
    assert "Nothing was asked yet." in (await page(client, "/")).text
    assert "Nothing was asked yet." in (await page(client, "/agencies/springfield-pd")).text


async def test_requests_stand_newest_first(service: LogService, client: httpx.AsyncClient) -> None:
    """The newest request is on top, each with its agency, place, time and status."""
    await logged(service, asked(case="first", incident="arson"))
    await logged(service, asked(case="second", incident="hit-and-run"))
    shown = (await page(client, "/")).text.partition("2 requests")[2]
    assert shown.index("Hit and run") < shown.index("Arson")
    for piece in (
        "Springfield Police Department",
        "4 May 2026, 07:00 to 10:00 UTC",
        "52.5163° N",
        "open, 14 days left",
    ):
        assert piece in shown


async def test_what_an_agency_writes_is_text_everywhere(service: LogService, client: httpx.AsyncClient) -> None:
    """Markup in any field that an agency or the operator fills is shown, never interpreted."""
    await logged(service, admission("evil-pd", name=f"Evil {EVIL}", evidence=EVIL, admitted_by=EVIL))
    leaf = await logged(
        service,
        asked(agency="evil-pd", case=EVIL, description=EVIL, purpose=EVIL, sharing=(EVIL,)),
    )
    await logged(service, update(leaf, "resolved", agency="evil-pd", note=EVIL))
    for path in ("/", f"/requests/{leaf}", "/agencies/evil-pd", "/agencies", "/?agency=evil-pd"):
        shown = await page(client, path)
        scripts = [attrs for tag, attrs in shown.tags if tag == "script"]
        assert all(set(attrs) <= {"type", "src", "blocking"} for attrs in scripts)
        assert not {tag for tag, _ in shown.tags} & {"img", "iframe", "style", "object", "embed"}
        assert not any(name.startswith("on") or name == "style" for _, attrs in shown.tags for name in attrs)
        assert EVIL in shown.text


async def test_what_stands_in_an_address_is_text_too(client: httpx.AsyncClient) -> None:
    """A hostile query is refused in one line, shown back as text, and kept in its field."""
    for name in ("area", "agency", "incident", "since", "before", "cell"):
        answer = await client.get("/", params={name: EVIL})
        assert answer.status_code == 400
        shown = Tags(answer.text)
        assert all("onerror" not in attrs for _, attrs in shown.tags)
        assert f"{name}: " in shown.text
    field = next(
        attrs
        for _, attrs in Tags((await client.get("/", params={"area": EVIL})).text).tags
        if attrs.get("id") == "area"
    )
    assert field["value"] == EVIL


def test_pages_take_nothing_from_elsewhere(site: Site, http: httpx.Client) -> None:
    """Each page's policy allows its own style and at most its own module; no page asks a third party for anything."""
    for name, path in site.pages.items():
        answer = http.get(path)
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["style-src"] == "'self'"
        assert policy.get("script-src", "'self'") == "'self'"
        assert ("script-src" in policy) == (name in {"feed", "filtered", "wrong"})
        assert policy["trusted-types"] == "'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert all(link.startswith(("/", "#", "mailto:")) for link in Tags(answer.text).links)


@pytest.mark.slow
def test_every_link_on_every_page_leads_somewhere(site: Site, http: httpx.Client) -> None:
    """Whatever a page links to answers 200, pages and downloads alike; anchors are there."""
    seen: set[str] = set()
    for path in site.pages.values():
        shown = Tags(http.get(path).text)
        ids = {attrs["id"] for _, attrs in shown.tags if "id" in attrs}
        for link in shown.links:
            address, _, anchor = link.partition("#")
            assert address or anchor in ids, link
            if address.startswith("/") and address not in seen:
                seen.add(address)
                assert http.get(address).status_code == 200, (path, address)
    assert len(seen) > 60


async def test_a_request_page_gives_what_is_needed_to_check_it(service: LogService, client: httpx.AsyncClient) -> None:
    """Terms, admission, hashes, keys and downloads; the download is the logged entry, byte for byte."""
    leaf = await logged(service, asked(sharing=("District attorney",)))
    shown = await page(client, f"/requests/{leaf}")
    for piece in (
        "A parcel was taken", "90 days", "District attorney", "detective@springfield.example.gov",
        "first post of this case", "letterhead", "300 m of", "0.283 km² (0.109 sq mi)", leaf, "entry 1 of the log",
        str(service.log.verifier), "people by protected traits", "cameras and doorbells",
        "This admission is in force.", "841f1d5ffffffff",
    ):  # fmt: skip
        assert piece in shown.text, piece
    assert (await client.get(f"/entries/{leaf}.dsse.json")).content == asked(sharing=("District attorney",))
    for missing in ("/requests/x", f"/requests/{'0' * 64}", f"/requests/{leaf.upper()}"):
        assert "Not found" in (await page(client, missing, status=404)).text


async def test_a_request_page_says_whether_its_agency_is_still_admitted(
    service: LogService, client: httpx.AsyncClient
) -> None:
    """A newer key is told, and so is a revocation, which closes what was open."""
    leaf = await logged(service, asked())
    await logged(service, admission(now_us=NOW_US, name="Springfield Police", evidence="rotated in person"))
    assert "Still admitted, by a newer record" in (await page(client, f"/requests/{leaf}")).text
    await logged(service, revocation(now_us=NOW_US + MINUTE_US))
    shown = (await page(client, f"/requests/{leaf}")).text
    assert "Not any more: revoked on 4 May 2026, 12:01 UTC by The neighbourhood operator (entry 3)" in shown
    assert "agency revoked" in shown
    agency = (await page(client, "/agencies/springfield-pd")).text
    assert agency.index("A key was lost.") < agency.index("rotated in person") < agency.index("letterhead")


async def test_status_follows_the_log_and_the_clock(
    service: LogService, client: httpx.AsyncClient, clock: Clock
) -> None:
    """A withdrawal is shown with its reason; an expired request says that it has expired."""
    withdrawn = await logged(service, asked(case="one"))
    other = await logged(service, asked(case="two", expires_at=NOW_US + DAY_US - MINUTE_US))
    await logged(service, update(withdrawn, note="It was found."))
    assert "It was found." in (await page(client, f"/requests/{withdrawn}")).text
    assert "ends within a day" in (await page(client, f"/requests/{other}")).text
    clock.now_us += 2 * DAY_US
    assert "expired" in (await page(client, f"/requests/{other}")).text
    index = (await page(client, "/")).text
    assert "withdrawn" in index
    assert "expired" in index


async def test_an_agency_has_a_record(service: LogService, client: httpx.AsyncClient) -> None:
    """How often it asked, withdrew and was refused, how widely, and who admitted it, key by key."""
    leaf = await logged(service, asked(case="one"))
    await logged(service, asked(case="two", incident="burglary"))
    await logged(service, update(leaf))
    await logged(service, refusals(area=2, retention=1))
    shown = await page(client, "/agencies/springfield-pd")
    words = "asked|open|expired|withdrawn|resolved|revoked|refused"
    figures = re.findall(rf"\n({words})(\d+)", "\n" + shown.text.replace(" ", ""))
    assert dict(figures) == {
        "asked": "2", "open": "1", "expired": "0", "withdrawn": "1", "resolved": "0", "revoked": "0", "refused": "3",
    }  # fmt: skip
    for piece in ("letterhead", "3 hours", "The neighbourhood operator", "area too small or too large", "Burglary"):
        assert piece in shown.text
    assert "never admitted" in (await page(client, "/agencies/nobody", status=404)).text


async def test_what_no_checkpoint_covers_is_not_shown(tmp_path: Path) -> None:
    """A request that awaits its cosignatures is on no page, in no feed and in no list, until it is published."""
    service = SimulatedService(Book(tmp_path / "book"))
    *_, newest = fill(service.book, 3)
    service.log.unpublished = 1
    transport = httpx.ASGITransport(Starlette(routes=routes(service)))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        for path in ("/", "/feed.atom", "/feed.json", "/feed.geojson", "/api/requests", "/agencies/springfield-pd"):
            assert newest not in (await client.get(path)).text
        assert (await client.get(f"/requests/{newest}")).status_code == 404
        service.log.unpublished = 0
        assert newest in (await client.get("/")).text
        assert (await client.get(f"/requests/{newest}")).status_code == 200
    service.book.close()


async def test_the_list_says_for_whom_entries_wait(tmp_path: Path) -> None:
    """While entries await the quorum the start page names the cosigner that they wait for."""
    service = SimulatedService(Book(tmp_path / "book"))
    fill(service.book, 3)
    service.log.unpublished = 2
    service.cosigners = [CosignerStatus("ben.example.org", "mirror", "", "", size=1, error="it can't be reached")]
    transport = httpx.ASGITransport(Starlette(routes=routes(service)))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        assert "2 entries wait for ben.example.org" in (await client.get("/")).text
        service.log.unpublished = 0
        assert "wait for ben.example.org" not in (await client.get("/")).text
    service.book.close()


async def test_an_address_of_nothing_has_the_sites_frame(tmp_path: Path) -> None:
    """Where no route answers a page does, below what programs ask a line; other answers are left as they are."""
    service = SimulatedService(Book(tmp_path / "book"))

    async def taken(_: Request) -> Response:
        return Response("taken")

    app = Starlette(
        routes=[Route("/inbox", taken, methods=["POST"]), *routes(service)], exception_handlers={404: nowhere(service)}
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
        found = await page(client, "/nowhere", status=404)
        assert "Nothing is at this address" in found.text
        assert (await client.get("/api/nowhere")).text == "Not Found"
        assert (await client.get("/inbox")).status_code == 405
        assert (await client.get("/about/")).status_code == 307
    service.book.close()


async def test_counts_are_of_what_is_published(tmp_path: Path) -> None:
    """The list's and the map's counts leave out what awaits its cosignatures; where sums hold it, they say so."""
    service = SimulatedService(Book(tmp_path / "book"))
    fill(service.book, 8)
    source = Source(service)
    transport = httpx.ASGITransport(Starlette(routes=routes(service)))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        for unpublished in (0, 1, 3, 8):
            service.log.unpublished = unpublished
            listed = (await client.get("/api/requests?limit=100")).json()["requests"]
            assert len(listed) == source.total() == sum(source.cells().values()) == 8 - unpublished
            assert 0 not in source.cells().values()
            for path in ("/agencies", "/agencies/springfield-pd"):
                assert (await client.get(f"/api{path}")).json()["awaiting"] == unpublished
                assert ("cosignatures; the counts" in (await client.get(path)).text) == (unpublished > 0)
    service.book.close()


async def test_what_closes_a_request_counts_once_it_is_published(tmp_path: Path) -> None:
    """A withdrawal and a revocation that await their cosignatures change no status yet, on no page and in no list."""
    service = SimulatedService(Book(tmp_path / "book"))
    fill(service.book, 40)
    book = service.book
    named = "county-sheriff"
    resolved, withdrawn, closed, *_ = [
        one.leaf for one in book.requests(Filter(agency=named, status=Status.OPEN), now_us=NOW_US)
    ]
    book.apply(book.size, update(resolved, "resolved", agency=named))
    published = book.size
    book.apply(book.size, update(withdrawn, agency=named))
    book.apply(book.size, update(resolved, agency=named))
    book.apply(book.size, revocation(named))
    transport = httpx.ASGITransport(Starlette(routes=routes(service)))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        for unpublished, expected in (
            (book.size - published, ["resolved", "open", "open"]),
            (0, ["withdrawn", "withdrawn", "revoked"]),
        ):
            service.log.unpublished = unpublished
            listed = {
                one["leaf"]: one["status"] for one in (await client.get("/api/requests?limit=100")).json()["requests"]
            }
            assert [listed[leaf] for leaf in (resolved, withdrawn, closed)] == expected
            for leaf in (resolved, withdrawn, closed):
                assert (await client.get(f"/api/requests/{leaf}")).json()["status"] == listed[leaf]
                assert f'"status {listed[leaf]}"' in (await client.get(f"/requests/{leaf}")).text
    service.book.close()


async def test_an_area_replaces_the_cell_that_was_shown(client: httpx.AsyncClient) -> None:
    """Whoever looks at a cell and draws an area gets the area, and no complaint."""
    answer = await client.get("/?area=1,2,3,4&cell=841f1d5ffffffff")
    assert answer.headers["location"] == "/?area=1,2,3,4"


async def test_a_form_leads_to_one_address(client: httpx.AsyncClient) -> None:
    """What a form sends with empty fields, in any order, ends at the list's one spelling."""
    answer = await client.get("/?agency=&until=2026-05-04&incident=arson&since=&area=")
    assert answer.status_code == 302
    assert answer.headers["location"] == "/?incident=arson&until=2026-05-04"
    assert (await client.get(answer.headers["location"])).status_code == 200


def test_the_log_page_shows_the_checkpoint(http: httpx.Client) -> None:
    """The published note, as it is served, and the keys to check it with."""
    shown = Tags(http.get("/log").text).text
    assert http.get("/log/checkpoint").text.strip() in shown
    assert "asks for no cosignature" in shown


def test_the_about_page_tells_the_limits_in_force(http: httpx.Client) -> None:
    """What stands there is what intake refuses by."""
    shown = Tags(http.get("/about").text).text
    for piece in ("15 minutes to 12 hours", "45 days", "0.0648 km²", "200 requests open", "10 clips of 1 minute"):
        assert piece in shown


async def test_an_entry_of_another_kind_is_no_request(client: httpx.AsyncClient) -> None:
    """An agency's record has no request page, but can be downloaded to be checked."""
    leaf = leaf_of(admission())
    await page(client, f"/requests/{leaf}", status=404)
    assert (await client.get(f"/entries/{leaf}.dsse.json")).content == admission()
