"""The feed as JSON Feed 1.1 (jsonfeed.org/version/1.1). Pure."""

from collections.abc import Iterable
from typing import Any

from .views import RequestView

MEDIA_TYPE = "application/feed+json"


def json_feed(requests: Iterable[RequestView], *, url: str, title: str, more: str | None) -> dict[str, Any]:
    """Return the feed; `url` is the site's address without a slash, `more` the address of what is older."""
    feed: dict[str, Any] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": title,
        "home_page_url": f"{url}/",
        "feed_url": f"{url}/feed.json",
        "description": "Every request for footage that was made in this neighbourhood, as logged.",
        "language": "en",
        "items": [_item(request, url) for request in requests],
    }
    if more is not None:
        feed["next_url"] = more
    return feed


def _item(request: RequestView, url: str) -> dict[str, Any]:
    return {
        "id": request.leaf,
        "url": f"{url}/requests/{request.leaf}",
        "title": f"{request.title}, {request.date}",
        "content_text": "\n".join(request.description),
        "date_published": request.posted.iso,
        "date_modified": request.updates[-1].at.iso if request.updates else request.posted.iso,
        "authors": [{"name": request.agency_name, "url": f"{url}/agencies/{request.agency}"}],
        "tags": [request.title.lower(), request.status],
        "_latchstring": {
            "index": request.index,
            "status": request.status,
            "start": request.start.iso,
            "end": request.end.iso,
            "expires": request.expires.iso,
            "place": request.place,
            "radius_m": request.radius_m,
            "proof": f"{url}/log/proof/{request.leaf}",
        },
    }
