"""A request with what became of it, as feeds and the API carry it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from broker.log.history.deletions import Counted
from broker.log.history.entries import Posted
from broker.log.history.query import Status
from broker.wire.encoding import format_time
from broker.wire.geo import cell_of, circle_area_m2
from broker.wire.records import Update
from broker.wire.rules import DAY_US
from broker.words import incident_text, place_text, window_text

from .geometry import circle_geometry


@dataclass(frozen=True, slots=True)
class Item:
    """A request as logged, its status at the moment of the answer, and what was said since: (entry, update), counts."""

    posted: Posted
    status: Status
    updates: Sequence[tuple[int, Update]]
    deletions: Counted = Counted()  # noqa: RUF009 - frozen

    @property
    def changed_us(self) -> int:
        """When it was posted or last updated, or the day over on which deletion was last asked for."""
        said = [update.at for _, update in self.updates]
        return max([self.posted.request.posted_at, *said, self.deletions.day_us + DAY_US])

    @property
    def title(self) -> str:
        """One line for a list."""
        request = self.posted.request
        return f"{incident_text(request.incident)}, {window_text(request.start, request.end)}"

    @property
    def text(self) -> str:
        """What is asked, and what was said of it since, as plain text."""
        request = self.posted.request
        asked = (
            f"{self.posted.admission.agency.name} asks for footage from within {request.area.radius_m} m of"
            f" {place_text(request.area.centre)}, {window_text(request.start, request.end)}."
        )
        said = [f"{update.kind.capitalize()}: {update.note}" for _, update in self.updates]
        if self.deletions.count:
            said.append(f"Asked to delete what it was given: {self.deletions.count}")
        return "\n\n".join((request.description, asked, *said))


def request_json(item: Item, *, url: str) -> dict[str, Any]:
    """Return a request as the API gives it; `url` is the site's address without a slash."""
    posted, request = item.posted, item.posted.request
    return {
        "leaf": posted.leaf,
        "index": posted.index,
        "status": str(item.status),
        "agency": request.agency,
        "agency_name": posted.admission.agency.name,
        "admission_index": posted.admission.index,
        "case": request.case,
        "post": posted.post,
        "incident": request.incident,
        "description": request.description,
        "contact": request.contact,
        "area": {
            "lat": request.area.centre.lat,
            "lon": request.area.centre.lon,
            "radius_m": request.area.radius_m,
            "area_m2": round(circle_area_m2(request.area.radius_m)),
            "cell": cell_of(request.area.centre),
        },
        "start": format_time(request.start),
        "end": format_time(request.end),
        "devices": list(request.devices),
        "recipient": request.recipient,
        "purpose": request.purpose,
        "retention_days": request.retention_days,
        "sharing": list(request.sharing),
        "excludes": list(request.excludes),
        "posted_at": format_time(request.posted_at),
        "expires_at": format_time(request.expires_at),
        "updates": [
            {"index": index, "kind": update.kind, "note": update.note, "at": format_time(update.at)}
            for index, update in item.updates
        ],
        "deletions_asked": item.deletions.count,
        "links": {
            "page": f"{url}/requests/{posted.leaf}",
            "envelope": f"{url}/entries/{posted.leaf}.dsse.json",
            "proof": f"{url}/log/proof/{posted.leaf}",
            "geojson": f"{url}/requests/{posted.leaf}.geojson",
        },
    }


def feature(item: Item, *, url: str) -> dict[str, Any]:
    """Return a request as a GeoJSON feature: its circle as a polygon, and centre and radius besides."""
    request = item.posted.request
    return {
        "type": "Feature",
        "id": item.posted.leaf,
        "geometry": circle_geometry(request.area),
        "properties": {
            "title": item.title,
            "incident": request.incident,
            "agency": request.agency,
            "status": str(item.status),
            "centre": [request.area.centre.lon, request.area.centre.lat],
            "radius_m": request.area.radius_m,
            "start": format_time(request.start),
            "end": format_time(request.end),
            "posted_at": format_time(request.posted_at),
            "expires_at": format_time(request.expires_at),
            "url": f"{url}/requests/{item.posted.leaf}",
        },
    }
