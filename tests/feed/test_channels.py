"""What one subscribes to: Atom, JSON Feed and GeoJSON, for everything, an agency or an area, page by page."""

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import feedparser  # type: ignore[import-untyped]
import h3
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from broker.feed import routes
from broker.feed.channels import ATOM_NAMESPACE, entry_id
from broker.feed.query import parse_query
from broker.log.history.book import Book
from broker.wire.geo import E7
from tests.feed.simulator import SimulatedService, fill
from tests.feed.site import Site

ATOM = f"{{{ATOM_NAMESPACE}}}"


def test_atom_is_what_rfc_4287_asks_for(site: Site, http: httpx.Client) -> None:
    """One id, title and time for the feed and each entry, an author and a page for each entry, no id twice."""
    answer = http.get("/feed.atom")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    feed = ET.fromstring(answer.content)
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == 30
    for node in (feed, *entries):
        for name in ("id", "title", "updated"):
            (found,) = node.findall(f"{ATOM}{name}")
            assert found.text
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == len(entries)
    assert [entry.findtext(f"{ATOM}id") for entry in entries] == [entry_id(leaf) for leaf in site.leaves[:30]]
    assert all(entry.findtext(f"{ATOM}author/{ATOM}name") for entry in entries)
    assert {link.get("rel") for link in feed.findall(f"{ATOM}link")} == {"self", "alternate", "first", "next"}


def test_a_stock_reader_reads_atom(site: Site, http: httpx.Client) -> None:
    """Feedparser finds nothing wrong, and what a subscriber sees is there."""
    parsed = feedparser.parse(http.get("/feed.atom?agency=springfield-pd").content)
    assert not parsed.bozo
    assert parsed.feed.title == "Asked in public: springfield-pd"
    assert {entry.author for entry in parsed.entries} == {"Springfield Police Department"}
    entry = parsed.entries[0]
    assert entry.link.startswith(f"{site.url}/requests/")
    assert entry.updated_parsed >= entry.published_parsed
    assert "asks for footage" in entry.content[0].value


def test_an_id_never_changes(http: httpx.Client) -> None:
    """A feed keeps its id over its pages, and each list has its own; an entry's id is its hash alone."""

    def id_of(path: str) -> str:
        return str(feedparser.parse(http.get(path).content).feed.id)

    assert id_of("/feed.atom") == id_of("/feed.atom?before=40")
    assert id_of("/feed.atom") != id_of("/feed.atom?agency=county-sheriff")
    assert entry_id("00" * 32) == "urn:uuid:2107aa56-a035-5459-bc57-1d1837f059d4"


def test_the_json_feed_is_one(site: Site, http: httpx.Client) -> None:
    """What JSON Feed 1.1 requires is there; ids are leaf hashes; addresses are absolute."""
    answer = http.get("/feed.json")
    assert answer.headers["content-type"].startswith("application/feed+json")
    feed = answer.json()
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == f"{site.url}/feed.json"
    assert [item["id"] for item in feed["items"]] == site.leaves[:30]
    for item in feed["items"]:
        assert item["url"] == f"{site.url}/requests/{item['id']}"
        assert item["title"]
        assert item["content_text"]
        assert item["date_published"] <= item["date_modified"]


def test_geojson_has_the_circle_and_its_radius(site: Site, http: httpx.Client) -> None:
    """Each feature is a polygon of RFC 7946, with centre and radius besides; a request's own file holds the same."""
    answer = http.get("/feed.geojson?limit=5")
    assert answer.headers["content-type"].startswith("application/geo+json")
    collection = answer.json()
    assert collection["type"] == "FeatureCollection"
    assert collection["next"].startswith(f"{site.url}/feed.geojson?before=")
    for feature in collection["features"]:
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        assert feature["properties"]["radius_m"] >= 150
        assert http.get(f"/requests/{feature['id']}.geojson").json() == feature


def test_an_area_and_a_cell_are_subscriptions_of_their_own(http: httpx.Client) -> None:
    """A box and an H3 cell each hold exactly the requests whose centre they hold."""
    everything = http.get("/api/requests?limit=100").json()["requests"]
    box = http.get("/feed.json?area=52.51,13.36,52.53,13.4&limit=100").json()["items"]
    inside = [
        one["leaf"]
        for one in everything
        if 52.51 <= one["area"]["lat"] <= 52.53 and 13.36 <= one["area"]["lon"] <= 13.4
    ]
    assert [item["id"] for item in box] == inside
    assert 0 < len(inside) < len(everything)
    cell = h3.latlng_to_cell(everything[0]["area"]["lat"], everything[0]["area"]["lon"], 7)
    found = http.get(f"/feed.json?cell={cell}&limit=100").json()["items"]
    expected = [
        one["leaf"] for one in everything if h3.latlng_to_cell(one["area"]["lat"], one["area"]["lon"], 7) == cell
    ]
    assert [item["id"] for item in found] == expected


@pytest.fixture(scope="module")
def book() -> Iterator[Book]:
    book = Book()
    fill(book, 60)
    yield book
    book.close()


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "agency": st.sampled_from(["springfield-pd", "county-sheriff"]),
        "incident": st.sampled_from(["arson", "robbery"]),
        "status": st.sampled_from(["open", "expired", "withdrawn"]),
        "since": st.sampled_from(["2026-05-02", "2026-05-03"]),
        "until": st.sampled_from(["2026-05-03", "2026-05-04"]),
    },
)
PLACES = st.sampled_from(
    [{}, {"area": "52.5,13.35,52.53,13.4"}, {"cell": "841f1d5ffffffff"}, {"cell": "871f1d489ffffff"}]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters=FILTERS, place=PLACES, limit=st.integers(1, 100))
async def test_paging_walks_every_request_exactly_once(
    book: Book, filters: dict[str, str], place: dict[str, str], limit: int
) -> None:
    """From page to page by its own links, any list gives every request that it wants, once, newest first."""
    service = SimulatedService(book)
    transport = httpx.ASGITransport(Starlette(routes=routes(service)))
    async with httpx.AsyncClient(transport=transport, base_url=service.url) as client:
        asked: dict[str, Any] = {**filters, **place, "limit": limit}
        answer = (await client.get("/api/requests", params=asked)).json()
        found = [one["index"] for one in answer["requests"]]
        while answer["next"]:
            assert len(answer["requests"]) == limit
            answer = (await client.get(answer["next"])).json()
            found += [one["index"] for one in answer["requests"]]
    query = parse_query([(name, value) for name, value in {**filters, **place}.items()])
    wanted = list(book.requests(query.filter(), now_us=service.now_us()))
    if query.cell is not None:
        resolution = h3.get_resolution(query.cell)
        wanted = [
            one
            for one in wanted
            if h3.latlng_to_cell(one.request.area.lat_e7 / E7, one.request.area.lon_e7 / E7, resolution) == query.cell
        ]
    assert found == [one.index for one in wanted]


def test_pages_of_each_kind_follow_one_another(site: Site, http: httpx.Client) -> None:
    """The page's, Atom's and JSON Feed's own links lead to the oldest request."""
    atom = feedparser.parse(http.get("/feed.atom").content)
    (following,) = [link.href for link in atom.feed.links if link.rel == "next"]
    rest = feedparser.parse(http.get(following).content)
    assert [entry.id for entry in (*atom.entries, *rest.entries)] == [entry_id(leaf) for leaf in site.leaves]
    assert not [link for link in rest.feed.links if link.rel == "next"]
    feed = http.get("/feed.json").json()
    assert json.loads(http.get(feed["next_url"]).content)["items"][-1]["id"] == site.leaves[-1]


@pytest.mark.parametrize("asked", ["", "?limit=5", "?limit=5&before=40&agency=springfield-pd", "?cell=841f1d5ffffffff"])
def test_every_link_of_every_channel_leads_somewhere(site: Site, http: httpx.Client, asked: str) -> None:
    """Whatever a feed was asked for, each address in it is answered, the page for people among them."""
    feed = http.get(f"/feed.json{asked}").json()
    atom = ET.fromstring(http.get(f"/feed.atom{asked}").content)
    links = {
        feed["home_page_url"],
        feed["feed_url"],
        feed.get("next_url"),
        http.get(f"/feed.geojson{asked}").json().get("next"),
        http.get(f"/api/requests{asked}").json()["next"],
        *(link.get("href") for link in atom.iter(f"{ATOM}link")),
        *(author.findtext(f"{ATOM}uri") for author in atom.iter(f"{ATOM}author")),
    }
    for item in feed["items"]:
        more = item["_latchstring"]
        links |= {item["url"], more["about"], more["envelope"], more["proof"], *(one["url"] for one in item["authors"])}
    for link in sorted(link for link in links if link is not None):
        assert link.startswith(site.url)
        assert http.get(link).status_code == 200, link
    assert "limit" not in feed["home_page_url"]
