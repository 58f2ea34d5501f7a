"""The feeds that one subscribes to: Atom (RFC 4287, paged by RFC 5005), JSON Feed 1.1 and GeoJSON (RFC 7946). Pure.

What a feed or an entry is called depends on the log and the entry's hash alone, wherever the site may move.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, tostring

from broker.wire.encoding import format_time
from broker.words import incident_text

from .items import Item, feature
from .query import Query

ATOM_TYPE: Final = "application/atom+xml"
JSON_TYPE: Final = "application/feed+json"
GEO_TYPE: Final = "application/geo+json"
ATOM_NAMESPACE: Final = "http://www.w3.org/2005/Atom"
_SUBTITLE = "Every request for footage that was made in this neighbourhood, as logged."


@dataclass(frozen=True, slots=True)
class Channel:
    """What a feed is of: the log's name, the site's address without a slash, a title, the query, and where it goes on.

    `older` is the entry to ask before for what is older, None at the end.
    """

    origin: str
    url: str
    title: str
    query: Query
    older: int | None

    def address(self, path: str, *, before: int | None) -> str:
        """Return the address of one page of this feed."""
        query = self.query
        return self.url + Query(
            agency=query.agency, incident=query.incident, status=query.status, area=query.area, cell=query.cell,
            since=query.since, until=query.until, before=before, limit=query.limit,
        ).to(path)  # fmt: skip

    def home_address(self) -> str:
        """Return the address of the same list for people, from its newest request on; its pages have one length."""
        query = self.query
        return self.url + Query(
            agency=query.agency, incident=query.incident, status=query.status, area=query.area, cell=query.cell,
            since=query.since, until=query.until,
        ).to("/")  # fmt: skip

    def next_address(self, path: str) -> str | None:
        """Return the address of what is older."""
        return None if self.older is None else self.address(path, before=self.older)


def atom(channel: Channel, items: Sequence[Item]) -> bytes:
    """Return the feed as Atom; an empty one was updated when time began."""
    feed = Element("feed", {"xmlns": ATOM_NAMESPACE, "xml:lang": "en"})
    name = Query(**{**_fields(channel.query), "before": None}).to(f"https://{channel.origin}/feed.atom")
    _say(feed, "id", f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}")
    _say(feed, "title", channel.title)
    _say(feed, "subtitle", _SUBTITLE)
    _say(feed, "updated", format_time(max((item.changed_us for item in items), default=0)))
    _link(feed, "self", channel.address("/feed.atom", before=channel.query.before), ATOM_TYPE)
    _link(feed, "alternate", channel.home_address(), "text/html")
    _link(feed, "first", channel.address("/feed.atom", before=None), ATOM_TYPE)
    following = channel.next_address("/feed.atom")
    if following is not None:
        _link(feed, "next", following, ATOM_TYPE)
    for item in items:
        _entry(SubElement(feed, "entry"), item, channel.url)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(feed, encoding="unicode")}'.encode()


def entry_id(leaf: str) -> str:
    """Return the lasting name of an entry, made from its hash alone."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, leaf)}"


def json_feed(channel: Channel, items: Sequence[Item]) -> bytes:
    """Return the feed as JSON Feed 1.1."""
    feed: dict[str, Any] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": channel.title,
        "home_page_url": channel.home_address(),
        "feed_url": channel.address("/feed.json", before=channel.query.before),
        "description": _SUBTITLE,
        "language": "en",
        "items": [_item(item, channel.url) for item in items],
    }
    following = channel.next_address("/feed.json")
    if following is not None:
        feed["next_url"] = following
    return _written(feed)


def geojson(channel: Channel, items: Sequence[Item]) -> bytes:
    """Return the feed's areas as a GeoJSON feature collection; `next` is where it goes on."""
    collection: dict[str, Any] = {
        "type": "FeatureCollection",
        "title": channel.title,
        "features": [feature(item, url=channel.url) for item in items],
    }
    following = channel.next_address("/feed.geojson")
    if following is not None:
        collection["next"] = following
    return _written(collection)


def _entry(entry: Element, item: Item, url: str) -> None:
    posted, agency = item.posted, item.posted.admission.agency
    _say(entry, "id", entry_id(posted.leaf))
    _say(entry, "title", item.title)
    _say(entry, "published", format_time(posted.request.posted_at))
    _say(entry, "updated", format_time(item.changed_us))
    author = SubElement(entry, "author")
    _say(author, "name", agency.name)
    _say(author, "uri", f"{url}/agencies/{agency.agency}")
    for term, label in (
        (posted.request.incident, incident_text(posted.request.incident)),
        (f"status-{item.status}", str(item.status)),
    ):
        SubElement(entry, "category", {"term": term, "label": label})
    _link(entry, "alternate", f"{url}/requests/{posted.leaf}", "text/html")
    _link(entry, "related", f"{url}/requests/{posted.leaf}.geojson", GEO_TYPE)
    SubElement(entry, "content", {"type": "text"}).text = item.text


def _item(item: Item, url: str) -> dict[str, Any]:
    posted, request = item.posted, item.posted.request
    return {
        "id": posted.leaf,
        "url": f"{url}/requests/{posted.leaf}",
        "title": item.title,
        "content_text": item.text,
        "date_published": format_time(request.posted_at),
        "date_modified": format_time(item.changed_us),
        "authors": [{"name": posted.admission.agency.name, "url": f"{url}/agencies/{request.agency}"}],
        "tags": [request.incident, str(item.status)],
        "_latchstring": {
            "about": f"{url}/about",
            "index": posted.index,
            "status": str(item.status),
            "deletions_asked": item.deletions.count,
            "start": format_time(request.start),
            "end": format_time(request.end),
            "expires": format_time(request.expires_at),
            "lat": request.area.centre.lat,
            "lon": request.area.centre.lon,
            "radius_m": request.area.radius_m,
            "envelope": f"{url}/entries/{posted.leaf}.dsse.json",
            "proof": f"{url}/log/proof/{posted.leaf}",
        },
    }


def _fields(query: Query) -> dict[str, Any]:
    return {name: getattr(query, name) for name in Query.__slots__}


def _say(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = text


def _link(parent: Element, rel: str, href: str, kind: str) -> None:
    SubElement(parent, "link", {"rel": rel, "href": href, "type": kind})


def _written(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
