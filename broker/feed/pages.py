"""The pages for people. Each works without script; the list's map is better with it."""

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from broker.log.errors import LogError
from broker.log.history.entries import Admitted
from broker.log.history.lists import Count, Mark
from broker.log.history.query import Status
from broker.wire.encoding import WireError
from broker.wire.records import INCIDENTS
from broker.words import incident_text

from .agencyviews import row_of, view_agency
from .answers import redirect
from .census import Census
from .logview import view_log, waiting_for
from .overview import Overview, overview
from .query import FILTERS, PAGE_SIZE, BoxE7, Query, QueryError, box_text, parse_query
from .requestmap import half_width_m, request_map
from .site import Site
from .source import Source, mark_of
from .views import Card, card_of, rules_text, view_request

MAPPED = 120  # circles on the overview
NEARBY = 40
AGENCY_LISTED = 10


class Pages:
    """One handler a page."""

    def __init__(self, source: Source, site: Site) -> None:
        self._source, self._site = source, site
        self._census = Census(source)

    async def index(self, request: Request) -> Response:
        """Show the list, or the way to its one address where a form sent empty fields."""
        given = _without_cell(request.query_params.multi_items())
        try:
            query = parse_query(given, known=(*FILTERS, "before"))
        except QueryError as error:
            return self._list(request, Query(), wrong=error, typed=dict(given))
        if query.pairs() != request.query_params.multi_items():
            return redirect(query.to("/"))
        return self._list(request, query)

    async def request(self, request: Request) -> Response:
        """Show one request."""
        posted = self._source.request(request.path_params["leaf"])
        if posted is None:
            return self._site.missing(request, "No request has this hash in the published log.")
        now_us = self._source.now_us()
        area = posted.request.area
        nearby = self._source.nearby(area.centre, half_width_m(area), now_us=now_us, limit=NEARBY)
        view = view_request(
            posted,
            mark_of(posted, self._source.status(posted, now_us=now_us)),
            self._source.updates([posted.leaf]).get(posted.leaf, []),
            self._source.standing(posted.request.agency),
            now_us=now_us,
            deletions=self._source.deletions(posted.leaf),
        )
        return self._site.html(
            request,
            "request.html",
            view=view,
            map=request_map(posted.leaf, area, nearby),
            url=self._site.url(request),
            verifier=self._source.verifier,
            operator_key=self._source.operator_key,
        )

    async def agencies(self, request: Request) -> Response:
        """Show all agencies."""
        totals = self._source.totals(now_us=self._source.now_us())
        rows = [
            row_of(one, self._source.standing(one.agency.agency)[-1], totals.get(one.agency.agency, (0, 0)))
            for one in self._source.agencies()
        ]
        return self._site.html(request, "agencies.html", rows=rows, awaiting=self._source.awaiting)

    async def agency(self, request: Request) -> Response:
        """Show an agency's public record."""
        name = request.path_params["agency"]
        standing = self._source.standing(name)
        if not any(isinstance(one, Admitted) for one in standing):
            return self._site.missing(request, "The log never admitted an agency of this name.")
        now_us = self._source.now_us()
        record = self._source.record_of(name, now_us=now_us)
        cards = self._cards(self._source.page(Query(agency=name), now_us=now_us, limit=AGENCY_LISTED).marks, now_us)
        view = view_agency(standing, record, now_us=now_us)
        return self._site.html(
            request, "agency.html", view=view, cards=cards, asked=record.asked, awaiting=self._source.awaiting
        )

    async def log(self, request: Request) -> Response:
        """Show the published checkpoint and who cosigned it."""
        source = self._source
        try:
            view = view_log(
                await source.checkpoint(),
                source.policy,
                source.cosigners,
                verifier=source.verifier,
                now_us=source.now_us(),
            )
        except (LogError, WireError) as error:
            return self._site.html(
                request, "missing.html", status=503, heading="The log can't be shown now", message=f"{error}."
            )
        return self._site.html(
            request, "log.html", view=view, url=self._site.url(request), operator_key=source.operator_key
        )

    async def about(self, request: Request) -> Response:
        """Say what this is, by what rules, and how to check it."""
        return self._site.html(
            request, "about.html", rules=rules_text(self._source.limits), url=self._site.url(request),
            verifier=self._source.verifier, operator_key=self._source.operator_key,
        )  # fmt: skip

    def _list(
        self, request: Request, query: Query, *, wrong: QueryError | None = None, typed: dict[str, str] | None = None
    ) -> Response:
        now_us = self._source.now_us()
        page = self._source.page(query, now_us=now_us, limit=MAPPED)
        marks = page.marks
        older = marks[PAGE_SIZE - 1].index if len(marks) > PAGE_SIZE else page.stopped
        if query.before is None and len(marks) < MAPPED:
            count = Count(len(marks), whole=page.stopped is None)
        else:
            count = self._source.count(query, now_us=now_us)
        return self._site.html(
            request,
            "index.html",
            status=200 if wrong is None else 400,
            script=True,
            query=query,
            typed={**dict.fromkeys(FILTERS, ""), **(typed or dict(query.pairs()))},
            wrong=wrong,
            cards=self._cards(marks[:PAGE_SIZE], now_us),
            count=count,
            stopped=page.stopped is not None and not marks[PAGE_SIZE:],
            older=None if older is None else query_before(query, older).to("/"),
            to_first=query_before(query, None).to("/"),
            map=self._overview(query, marks),
            to_area=to_area(query),
            awaiting=self._source.awaiting,
            waiting_for=waiting_for(self._source.cosigners, self._source.size + self._source.awaiting),
            downloads={kind: query_before(query, None).to(f"/feed.{kind}") for kind in ("atom", "json", "geojson")},
            incidents=[(name, incident_text(name)) for name in INCIDENTS],
            statuses=[str(status) for status in Status],
            agencies=[(one.agency.agency, one.agency.name) for one in self._source.agencies()],
        )

    def _overview(self, query: Query, marks: Sequence[Mark]) -> Overview:
        return overview(self._census.counts, self._census.extent(), marks, area=query.area, cell=query.cell)

    def _cards(self, marks: Sequence[Mark], now_us: int) -> list[Card]:
        said = self._source.updates([mark.leaf for mark in marks])
        texts = self._source.descriptions(marks)
        return [
            card_of(
                mark,
                agency_name=self._source.agency_name(mark),
                description=texts[mark.index],
                answered=any(update.kind == "answered" for _, update in said.get(mark.leaf, [])),
                now_us=now_us,
            )
            for mark in marks
        ]


def _without_cell(given: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the parameters without a cell that an area was drawn or typed over in the form."""
    area = any(name == "area" and value for name, value in given)
    return [(name, value) for name, value in given if not (area and name == "cell")]


def query_before(query: Query, before: int | None) -> Query:
    """Return the same query from another entry on."""
    return Query(**{**{name: getattr(query, name) for name in Query.__slots__}, "before": before})


def to_area(query: Query) -> Callable[[BoxE7 | None], str]:
    """Return what makes an address of the same list in another area (None: everywhere), from its newest request on."""
    fields = {name: getattr(query, name) for name in Query.__slots__}
    marked = Query(**{**fields, "area": (-1, -1, 0, 0), "cell": None, "before": None}).to("/")
    before, _, after = marked.partition(box_text((-1, -1, 0, 0)))
    everywhere = Query(**{**fields, "area": None, "cell": None, "before": None}).to("/")
    return lambda area: everywhere if area is None else f"{before}{box_text(area)}{after}"
