"""The OpenAPI 3.1 description of `/api`, from the same tables that the parameters are read with. Pure."""

from typing import Any

from broker.log.history.query import Status
from broker.wire.records import INCIDENTS

from .query import MOST, PAGE_SIZE

_LEAF = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "A leaf hash in hex: the name of an entry."}
_TIME = {"type": "string", "format": "date-time", "description": "UTC, to the microsecond."}
_INDEX = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_AWAITING: dict[str, Any] = {
    **_COUNT,
    "description": "Entries that await their cosignatures: the counts beside this have taken them in already.",
}
_ASKED_BACK: dict[str, Any] = {
    **_COUNT,
    "description": "Senders who asked for what they had sent to be deleted; the inbox can't see what that was.",
}
_TEXTS = {"type": "array", "items": _TEXT}
_SLUG = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"}
_DEGREES = r"-?(0|[1-9]\d{0,2})(\.\d{1,7})?"
_NULLABLE_TIME = {"type": ["string", "null"], "format": "date-time"}
_NULLABLE_URL = {"type": ["string", "null"], "format": "uri"}


def openapi(url: str) -> dict[str, Any]:
    """Return the description; `url` is the site's address without a slash."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Asked in public",
            "version": "1",
            "summary": "Requests for footage, as the public log has them.",
            "description": "Read only, for everybody, without a key. Lists go from the newest to the oldest; `next` is"
            " the address of what is older. Parameters that are not described here are refused.",
        },
        "servers": [{"url": f"{url}/api"}],
        "paths": {
            "/requests": {
                "get": _operation(
                    "listRequests", "Requests, newest first", "RequestList", parameters=_list_parameters()
                )
            },
            "/requests/{leaf}": {
                "get": _operation(
                    "getRequest", "One request", "Request", parameters=[_in_path("leaf", _LEAF)], missing=True
                )
            },
            "/agencies": {"get": _operation("listAgencies", "All agencies that ever were admitted", "AgencyList")},
            "/agencies/{agency}": {
                "get": _operation(
                    "getAgency", "One agency and its public record", "Agency",
                    parameters=[_in_path("agency", _SLUG)], missing=True,
                )
            },
            "/log": {"get": _operation("getLog", "The published checkpoint and who cosigned it", "Log")},
        },
        "components": {"schemas": _schemas()},
    }  # fmt: skip


def _operation(
    name: str, summary: str, schema: str, *, parameters: list[Any] | None = None, missing: bool = False
) -> dict[str, Any]:
    answers = {"200": _answer(summary, schema), "400": _answer("A parameter can't be used", "Error")}
    if missing:
        answers["404"] = _answer("There is no such thing in the published log", "Error")
    return {"operationId": name, "summary": summary, "parameters": parameters or [], "responses": answers}


def _answer(description: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _in_path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _list_parameters() -> list[dict[str, Any]]:
    day = {"type": "string", "format": "date"}
    wanted: dict[str, tuple[str, dict[str, Any]]] = {
        "agency": ("Of this agency.", _SLUG),
        "incident": ("Of this type.", {"type": "string", "enum": list(INCIDENTS)}),
        "status": ("That are this now.", {"type": "string", "enum": [str(one) for one in Status]}),
        "area": (
            (
                "Whose circle's centre is in this box: south,west,north,east in degrees. West may be greater than east:"
                " the box then crosses the date line. Not together with a cell."
            ),
            {"type": "string", "pattern": f"^{_DEGREES},{_DEGREES},{_DEGREES},{_DEGREES}$"},
        ),
        "cell": ("Whose circle's centre is in this H3 cell.", {"type": "string", "pattern": "^[0-9a-f]{15}$"}),
        "since": ("Posted on this day (UTC) or later.", day),
        "until": ("Posted on this day (UTC) or earlier.", day),
        "before": ("Logged before this entry: the next page.", _INDEX),
        "limit": (
            "So many on a page at the most. One that has looked at enough requests ends early; `next` goes on there.",
            {"type": "integer", "minimum": 1, "maximum": MOST, "default": PAGE_SIZE},
        ),
    }
    return [
        {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
        for name, (text, schema) in wanted.items()
    ]


def _schemas() -> dict[str, Any]:
    status = {"type": "string", "enum": [str(one) for one in Status]}
    return {
        "Request": _object(
            leaf=_LEAF, index=_INDEX, status=status, agency=_SLUG, agency_name=_TEXT, admission_index=_INDEX,
            case=_TEXT, post=_COUNT, incident={"type": "string", "enum": list(INCIDENTS)}, description=_TEXT,
            contact=_TEXT,
            area=_object(
                lat={"type": "number"}, lon={"type": "number"}, radius_m=_COUNT, area_m2=_COUNT,
                cell={"type": "string", "description": "The H3 cell, resolution 4, that devices there subscribe to."},
            ),
            start=_TIME, end=_TIME, devices=_TEXTS, recipient=_TEXT, purpose=_TEXT, retention_days=_COUNT,
            sharing=_TEXTS, excludes=_TEXTS, posted_at=_TIME, expires_at=_TIME,
            updates={"type": "array", "items": _object(index=_INDEX, kind=_TEXT, note=_TEXT, at=_TIME)},
            deletions_asked=_ASKED_BACK,
            links=_object(page=_TEXT, envelope=_TEXT, proof=_TEXT, geojson=_TEXT),
        ),
        "RequestList": _object(
            size=_INDEX, requests={"type": "array", "items": {"$ref": "#/components/schemas/Request"}},
            next=_NULLABLE_URL,
        ),
        "AgencyList": _object(
            awaiting=_AWAITING,
            agencies={
                "type": "array",
                "items": _object(
                    agency=_SLUG, name=_TEXT, domain=_TEXT, admitted={"type": "boolean"}, asked=_COUNT, open=_COUNT
                ),
            }
        ),
        "Agency": _object(
            agency=_SLUG, name=_TEXT, domain=_TEXT, contact=_TEXT, admitted={"type": "boolean"}, asked=_COUNT,
            by_status=_counts(), by_incident=_counts(), refused=_counts(), deletions_asked=_ASKED_BACK,
            requests_asked_back=_COUNT, mean_area_m2=_COUNT, mean_window_s=_COUNT,
            mean_open_s=_COUNT, by_month=_counts(), awaiting=_AWAITING,
            standing={
                "type": "array",
                "items": _object(index=_INDEX, leaf=_LEAF, kind=_TEXT, at=_TIME, by=_TEXT, evidence=_TEXT, key=_TEXT),
            },
        ),
        "Log": _object(
            origin=_TEXT, size=_INDEX, root=_TEXT, checkpoint=_TEXT, verifier=_TEXT, operator_key=_TEXT, policy=_TEXT,
            cosigners={
                "type": "array",
                "items": _object(name=_TEXT, kind=_TEXT, key=_TEXT, url=_TEXT, at=_NULLABLE_TIME,
                    signed={"type": "boolean"}),
            },
        ),
        "Error": _object(error=_object(code=_TEXT, message=_TEXT)),
    }  # fmt: skip


def _counts() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": _COUNT}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip
