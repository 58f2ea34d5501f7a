"""What may be asked of a list: strict, and one spelling for each question."""

from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.feed.query import FILTERS, PAGE_SIZE, Query, QueryError, parse_query
from broker.log.history.query import Status
from broker.wire.geo import E7
from broker.wire.records import INCIDENTS

DAYS = st.dates(date(1970, 1, 1), date(9998, 12, 31))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    south = draw(st.integers(-90 * E7, 90 * E7 - 1))
    west = draw(st.integers(-180 * E7, 180 * E7))
    areas = st.tuples(
        st.just(south), st.just(west), st.integers(south + 1, 90 * E7),
        st.integers(-180 * E7, 180 * E7).filter(lambda east: east != west),
    )  # fmt: skip
    cells = st.builds(h3.latlng_to_cell, st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 15))
    place: dict[str, Any] = draw(
        st.one_of(st.fixed_dictionaries({"area": areas}), st.fixed_dictionaries({"cell": cells}), st.just({}))
    )
    since = draw(st.none() | DAYS)
    until = draw(st.none() | DAYS)
    if since is not None and until is not None and until < since:
        since, until = until, since
    return Query(
        agency=draw(st.none() | st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)),
        incident=draw(st.none() | st.sampled_from(INCIDENTS)),
        status=draw(st.none() | st.sampled_from(Status)),
        since=since,
        until=until,
        before=draw(st.none() | st.integers(0, (1 << 63) - 1)),
        limit=draw(st.integers(1, 100)),
        **place,
    )


@given(queries())
def test_a_query_is_read_as_it_was_written(query: Query) -> None:
    """Every query survives its own address, and is written in one way only."""
    assert parse_query(parse_qsl(urlsplit(query.to("/")).query)) == query
    assert parse_query(query.pairs()).pairs() == query.pairs()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("agency", "No One"), ("agency", "x" * 64), ("incident", "loitering"), ("status", "Open"), ("area", "1,2,3"),
        ("area", "2,2,1,3"), ("area", "1,2,91,3"), ("area", "1,2,3,181"), ("area", "1,2,3,2"), ("area", "1e1,2,30,3"),
        ("area", "01,2,3,4"), ("area", " 1,2,3,4"), ("area", "1,2,3,٤"), ("cell", "841f1d5fffffff"), ("cell", "f" * 15),
        ("cell", "841F1D5FFFFFFFF"), ("since", "2026-02-30"), ("since", "1969-12-31"), ("until", "20260101"),
        ("before", "-1"), ("before", "01"), ("before", "9" * 40), ("limit", "0"), ("limit", "101"), ("limit", "x"),
        ("page", "2"), ("Agency", "x"), ("x" * 500, "y"),
    ],
)  # fmt: skip
def test_a_bad_parameter_is_refused_in_one_line(name: str, value: str) -> None:
    """The message begins with the parameter, is short, and has no line of its own making."""
    with pytest.raises(QueryError) as caught:
        parse_query([(name, value)])
    message = str(caught.value)
    assert message.startswith(name[:20])
    assert "\n" not in message
    assert len(message) < 400


@given(st.lists(st.tuples(st.sampled_from((*FILTERS, "before", "limit")) | st.text(), st.text()), max_size=4))
def test_no_parameters_break_the_parser(pairs: list[tuple[str, str]]) -> None:
    """Anything at all is either a query or refused."""
    try:
        query = parse_query(pairs)
    except QueryError:
        return
    assert query.limit >= 1


def test_what_a_form_leaves_empty_is_not_asked() -> None:
    """Empty fields count as none; the same parameter twice, or an area and a cell, is a contradiction."""
    assert parse_query([(name, "") for name in FILTERS]) == Query()
    assert Query().limit == PAGE_SIZE
    for pairs in (
        [("agency", "a"), ("agency", "a")],
        [("area", "1,2,3,4"), ("cell", "841f1d5ffffffff")],
        [("since", "2026-05-02"), ("until", "2026-05-01")],
    ):
        with pytest.raises(QueryError):
            parse_query(pairs)


def test_days_are_whole_days_in_utc() -> None:
    """The first and the last day are both included."""
    day = date(2026, 5, 3)
    wanted = Query(since=day, until=day).filter()
    assert wanted.since_us is not None
    assert wanted.until_us is not None
    assert wanted.until_us - wanted.since_us == timedelta(days=1) // timedelta(microseconds=1)
