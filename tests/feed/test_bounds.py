"""No question that anybody may ask costs more the longer the log is: counted in SQLite's own steps, not in time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import h3
import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from broker.feed import routes
from broker.feed.query import FILTERS
from broker.log.history.book import Book
from broker.log.history.lists import Lists
from broker.log.history.query import Filter, Status
from broker.wire.records import INCIDENTS
from broker.wire.rules import DAY_US, MINUTE_US
from tests.feed.simulator import SimulatedService, fill
from tests.feed.support import AGENCIES, CENTRE
from tests.log.support import NOW_US

FILLED = 250
COPIES = 80
APART_US = 20 * MINUTE_US
SPAN_US = FILLED * APART_US
LATER_US = NOW_US + (COPIES - 1) * SPAN_US
LOOKED = 100  # rows a question, which makes 20,000 requests what 800,000 are to the service
STEP = 10
MOST_STEPS = 40_000


class LongBook(Book):
    """A book of 20,000 requests, made quickly; it counts what its questions cost."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.looked = LOOKED
        fill(self, FILLED, step_us=APART_US)
        entries = self.size
        with self.batch():
            for copy in range(1, COPIES):
                self._copy(copy * entries, copy * SPAN_US)
            self._db.execute("DELETE FROM logged_by_day")
            self._db.execute(
                "INSERT INTO logged_by_day SELECT posted / ?, min(idx), max(idx) FROM requests GROUP BY 1", (DAY_US,)
            )
            # A type that is rare, and one that only the oldest have.
            self._db.execute("UPDATE requests SET incident = 'assault' WHERE idx % 2999 = 17")
            self._db.execute("UPDATE requests SET incident = 'homicide' WHERE idx < 100")
            self._size = COPIES * entries
        self._db.set_progress_handler(self._stepped, STEP)

    @property
    def lists(self) -> Lists:
        return Lists(self._db, looked=self.looked)

    def _stepped(self) -> int:
        self.steps += STEP
        return 0

    def _copy(self, entries: int, later_us: int) -> None:
        values = {"entries": entries, "later": later_us, "size": self.size}
        self._db.execute(
            "INSERT INTO requests SELECT idx + :entries, randomblob(32), agency, case_name || :entries, post,"
            " admission, incident, lat, lon, radius, area_m2, starts + :later, ends + :later, posted + :later,"
            " expires + :later, closed FROM requests WHERE idx < :size",
            values,
        )
        self._db.execute("INSERT INTO entries SELECT idx, leaf FROM requests WHERE idx >= :entries", values)
        self._db.execute("INSERT INTO payloads SELECT idx + :entries, payload FROM payloads WHERE idx < :size", values)
        self._db.execute("INSERT INTO places SELECT cell, idx + :entries FROM places WHERE idx < :size", values)


@pytest.fixture(scope="module")
def book() -> Iterator[LongBook]:
    book = LongBook()
    assert book.count() == FILLED * COPIES
    yield book
    book.close()


def _days_ago(days: int) -> str:
    return (datetime.fromtimestamp(LATER_US / 1e6, tz=UTC) - timedelta(days=days)).date().isoformat()


CELLS = st.builds(
    h3.latlng_to_cell,
    st.sampled_from([CENTRE[0], CENTRE[0] + 0.02, -CENTRE[0]]),
    st.sampled_from([CENTRE[1], CENTRE[1] - 0.03, 179.9]),
    st.integers(0, 15),
)
AREAS = st.sampled_from(
    [
        "-90,-180,90,180",  # everywhere
        "52.5,13.35,52.53,13.4",
        "52.516,13.377,52.517,13.378",
        "52.5,-180,52.53,13.3",  # as far north as everything, and nothing there
        "52.5163,0,52.5164,20",
        "-90,13.3777,90,13.3778",
        "52.5,170,52.53,-170",
        "-89,-180,-80,180",
    ]
)
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "agency": st.sampled_from([*AGENCIES, "nobody"]),
        "incident": st.sampled_from(INCIDENTS),
        "status": st.sampled_from([str(status) for status in Status]),
        "since": st.integers(140, 300).map(_days_ago) | st.just("1970-01-01"),
        "until": st.integers(0, 140).map(_days_ago) | st.just("9998-12-31"),
        "before": st.integers(0, COPIES * 290).map(str),
    },
)
PLACES = st.one_of(st.just({}), st.fixed_dictionaries({"cell": CELLS}), st.fixed_dictionaries({"area": AREAS}))
PATHS = ("/", "/api/requests", "/feed.atom", "/feed.json", "/feed.geojson")


@pytest.fixture(scope="module")
def app(book: LongBook) -> Starlette:
    return Starlette(routes=routes(SimulatedService(book, now_us=lambda: LATER_US)))


async def _answer(app: Starlette, path: str, asked: dict[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://feed.example.org") as client:
        return await client.get(path, params=_in_order(asked))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), filters=ASKED, place=PLACES)
@example("/", {}, {"cell": "8019fffffffffff"})
@example("/", {}, {"cell": "8f1f1d489b6d4c0"})
@example("/", {}, {"area": "-90,-180,90,180", "until": "1970-01-02"})
@example("/", {}, {"area": "-90,-180,90,180", "since": "9998-12-31"})
@example("/", {"status": "expired"}, {"area": "52.5,-180,52.53,13.3"})
@example("/", {"status": "expired", "incident": "homicide", "agency": "springfield-pd"}, {})
@example("/", {"status": "withdrawn", "incident": "assault"}, {"area": "-90,-180,90,180"})
@example("/", {"status": "resolved", "since": "1970-01-01"}, {})
async def test_no_list_costs_more_than_its_bound(
    book: LongBook, app: Starlette, path: str, filters: dict[str, str], place: dict[str, str]
) -> None:
    """Whatever is filtered by, a page and its count take a number of steps that the log's length has no part in."""
    book.steps = 0
    answer = await _answer(app, path, {**filters, **place})
    assert answer.status_code == 200
    assert book.steps < MOST_STEPS


def test_the_bound_is_less_than_one_look_through_everything(book: LongBook) -> None:
    """Where a question may look at any number of rows, one that goes through them all breaks the bound."""
    book.steps, book.looked = 0, 1_000_000
    try:
        book.lists.count(Filter(box=(-900_000_000, -1_800_000_000, 900_000_000, 1)), now_us=LATER_US, most=1_000)
    finally:
        book.looked = LOOKED
    assert book.steps > 2 * MOST_STEPS


async def test_no_other_page_costs_more_than_its_bound(book: LongBook, app: Starlette) -> None:
    """Agencies and their records come from sums; a request's neighbours are looked for no further than a list."""
    leaf = next(book.requests(limit=1, before=FILLED)).leaf
    for path in ("/agencies", "/agencies/springfield-pd", "/api/agencies", f"/requests/{leaf}", "/about", "/log"):
        book.steps = 0
        assert (await _answer(app, path, {})).status_code in {200, 503}
        assert book.steps < MOST_STEPS, path


async def test_a_list_that_was_cut_off_goes_on(book: LongBook, app: Starlette) -> None:
    """What is rare is found in the end: a page that nothing was found for says so, and where to look further."""
    page = (await _answer(app, "/", {"incident": "robbery", "area": "52.5,-180,52.53,13.3"})).text
    assert "Look further back" in page
    assert "Nothing found so far" in page
    asked = {"incident": "robbery", "status": "withdrawn"}
    answer = (await _answer(app, "/api/requests", asked)).json()
    found, pages = [one["index"] for one in answer["requests"]], 1
    while answer["next"]:
        before = answer["next"].partition("before=")[2]
        answer = (await _answer(app, "/api/requests", {**asked, "before": before})).json()
        found += [one["index"] for one in answer["requests"]]
        pages += 1
    assert found == [one.index for one in book.requests(Filter(incident="robbery", status=Status.WITHDRAWN))]
    assert pages > len(found) / 30


def _in_order(asked: dict[str, str]) -> dict[str, str]:
    return {name: asked[name] for name in (*FILTERS, "before") if name in asked}
