"""What programs read: feeds, single entries, maps as GeoJSON, and the API. Strict about what it is asked."""

import json
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from broker.log.errors import LogError
from broker.log.history.entries import Admitted, Revoked, parse_record, said_us
from broker.log.history.lists import Mark
from broker.log.history.query import PublicRecord
from broker.wire.encoding import WireError, format_time, to_base64
from broker.words import incident_text

from .answers import BRIEF, FEED, IMMUTABLE, Content, answer
from .channels import ATOM_TYPE, GEO_TYPE, JSON_TYPE, Channel, atom, geojson, json_feed
from .items import Item, feature, request_json
from .logview import view_log
from .openapi import openapi
from .query import Query, QueryError, parse_query
from .site import TITLE, Site
from .source import Source

JSON = "application/json"
_FEEDS = {"atom": (ATOM_TYPE, atom), "json": (JSON_TYPE, json_feed), "geojson": (GEO_TYPE, geojson)}


class Programs:
    """One handler for each thing that programs read."""

    def __init__(self, source: Source, site: Site) -> None:
        self._source, self._site = source, site

    async def feed(self, request: Request) -> Response:
        """Answer with a list as Atom, JSON Feed or GeoJSON."""
        media_type, write = _FEEDS[request.url.path.rpartition(".")[2]]
        try:
            query = parse_query(request.query_params.multi_items())
        except QueryError as error:
            return _refused(request, error)
        items, older = self._page(query)
        channel = Channel(self._source.origin, self._site.url(request), self._title(query), query, older)
        return answer(request, Content(write(channel, items), media_type, keep=FEED, shared=True))

    async def entry(self, request: Request) -> Response:
        """Answer with an entry's exact bytes."""
        data = await self._source.entry(request.path_params["leaf"])
        if data is None:
            return _error(request, 404, "not-found", "the published log holds no entry with this leaf hash")
        made_us = said_us(parse_record(data)[1])
        return answer(request, Content(data, JSON, keep=IMMUTABLE, modified_us=made_us, shared=True))

    async def place(self, request: Request) -> Response:
        """Answer with one request's area as GeoJSON."""
        item = self._item(request.path_params["leaf"])
        if item is None:
            return _error(request, 404, "not-found", "the published log holds no request with this leaf hash")
        return answer(
            request, Content(_written(feature(item, url=self._site.url(request))), GEO_TYPE, keep=FEED, shared=True)
        )

    async def description(self, request: Request) -> Response:
        """Describe the API."""
        return self._json(request, openapi(self._site.url(request)))

    async def requests(self, request: Request) -> Response:
        """List requests."""
        try:
            query = parse_query(request.query_params.multi_items())
        except QueryError as error:
            return _refused(request, error)
        items, older = self._page(query)
        url = self._site.url(request)
        channel = Channel(self._source.origin, url, TITLE, query, older)
        body = {
            "size": self._source.size,
            "requests": [request_json(item, url=url) for item in items],
            "next": channel.next_address("/api/requests"),
        }
        return self._json(request, body)

    async def one_request(self, request: Request) -> Response:
        """Answer with one request."""
        if refusal := _no_parameters(request):
            return refusal
        item = self._item(request.path_params["leaf"])
        if item is None:
            return _error(request, 404, "not-found", "the published log holds no request with this leaf hash")
        return self._json(request, request_json(item, url=self._site.url(request)))

    async def agencies(self, request: Request) -> Response:
        """List agencies."""
        if refusal := _no_parameters(request):
            return refusal
        totals = self._source.totals(now_us=self._source.now_us())
        rows = []
        for one in self._source.agencies():
            asked, still_open = totals.get(one.agency.agency, (0, 0))
            admitted = isinstance(self._source.standing(one.agency.agency)[-1], Admitted)
            rows.append(
                {
                    "agency": one.agency.agency, "name": one.agency.name, "domain": one.agency.domain,
                    "admitted": admitted, "asked": asked, "open": still_open,
                }
            )  # fmt: skip
        return self._json(request, {"awaiting": self._source.awaiting, "agencies": rows})

    async def one_agency(self, request: Request) -> Response:
        """Answer with one agency's public record."""
        if refusal := _no_parameters(request):
            return refusal
        name = request.path_params["agency"]
        standing = self._source.standing(name)
        if not any(isinstance(one, Admitted) for one in standing):
            return _error(request, 404, "not-found", "the log never admitted an agency of this name")
        record = self._source.record_of(name, now_us=self._source.now_us())
        return self._json(request, _agency_json(standing, record) | {"awaiting": self._source.awaiting})

    async def log(self, request: Request) -> Response:
        """Answer with the published checkpoint and who cosigned it."""
        if refusal := _no_parameters(request):
            return refusal
        try:
            view = view_log(
                await self._source.checkpoint(),
                self._source.policy,
                self._source.cosigners,
                verifier=self._source.verifier,
                now_us=self._source.now_us(),
            )
        except (LogError, WireError) as error:
            return _error(request, 503, "unavailable", str(error))
        body = {
            "origin": view.origin, "size": view.size, "root": view.root, "checkpoint": view.text,
            "verifier": view.verifier, "operator_key": self._source.operator_key, "policy": self._source.policy,
            "cosigners": [
                {
                    "name": one.name, "kind": one.kind, "key": one.key, "url": one.url, "signed": one.signed,
                    "at": one.at and one.at.iso,
                }
                for one in view.cosigners
            ],
        }  # fmt: skip
        return self._json(request, body)

    def _page(self, query: Query) -> tuple[list[Item], int | None]:
        """Return a page's items, and the entry that the next one comes before."""
        page = self._source.page(query, now_us=self._source.now_us(), limit=query.limit + 1)
        older = page.marks[query.limit - 1].index if len(page.marks) > query.limit else page.stopped
        return self._items(page.marks[: query.limit]), older

    def _items(self, marks: Sequence[Mark]) -> list[Item]:
        said = self._source.updates([mark.leaf for mark in marks])
        posted = ((mark, self._source.request(mark.leaf)) for mark in marks)
        return [
            Item(one, mark.status, said.get(mark.leaf, []), self._source.deletions(mark.leaf))
            for mark, one in posted
            if one is not None
        ]

    def _item(self, leaf: str) -> Item | None:
        posted = self._source.request(leaf)
        if posted is None:
            return None
        status = self._source.status(posted, now_us=self._source.now_us())
        return Item(posted, status, self._source.updates([leaf]).get(leaf, []), self._source.deletions(leaf))

    def _title(self, query: Query) -> str:
        parts = [
            query.agency or "",
            incident_text(query.incident) if query.incident else "",
            str(query.status or ""),
            "a chosen area" if query.area is not None or query.cell is not None else "",
        ]
        return ": ".join([TITLE, *[", ".join(part for part in parts if part)] * any(parts)])

    def _json(self, request: Request, body: dict[str, Any]) -> Response:
        return answer(request, Content(_written(body), JSON, keep=FEED, shared=True))


def _agency_json(standing: list[Admitted | Revoked], record: PublicRecord) -> dict[str, Any]:
    newest = [one for one in standing if isinstance(one, Admitted)][-1].agency
    months: dict[str, int] = {}
    for day, count in record.days:
        month = format_time(day * 86_400_000_000)[:7]
        months[month] = months.get(month, 0) + count
    return {
        "agency": newest.agency, "name": newest.name, "domain": newest.domain, "contact": newest.contact,
        "admitted": isinstance(standing[-1], Admitted), "asked": record.asked,
        "by_status": {str(status): count for status, count in record.by_status.items()},
        "by_incident": record.by_incident, "refused": record.refused, "deletions_asked": record.deletions,
        "requests_asked_back": record.deletions_of,
        "mean_area_m2": round(record.mean_area_m2), "mean_window_s": record.mean_window_us // 1_000_000,
        "mean_open_s": record.mean_open_us // 1_000_000, "by_month": months,
        "standing": [_standing_json(one) for one in standing],
    }  # fmt: skip


def _standing_json(one: Admitted | Revoked) -> dict[str, Any]:
    if isinstance(one, Admitted):
        record = one.agency
        said = ("admission", record.admitted_at, record.admitted_by, record.evidence, to_base64(record.key))
    else:
        gone = one.revocation
        said = ("revocation", gone.at, gone.revoked_by, gone.reason, "")
    kind, at_us, by, evidence, key = said
    return {
        "index": one.index, "leaf": one.leaf, "kind": kind, "at": format_time(at_us), "by": by, "evidence": evidence,
        "key": key,
    }  # fmt: skip


def _no_parameters(request: Request) -> Response | None:
    try:
        parse_query(request.query_params.multi_items(), known=())
    except QueryError as error:
        return _refused(request, error)
    return None


def _refused(request: Request, error: QueryError) -> Response:
    return _error(request, 400, "parameter", str(error))


def _error(request: Request, status: int, code: str, message: str) -> Response:
    body = {"error": {"code": code, "message": message}}
    return answer(request, Content(_written(body), JSON, keep=BRIEF, status=status, shared=True))


def _written(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
