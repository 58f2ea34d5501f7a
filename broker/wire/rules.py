"""What a request may ask (the published limits), checked alike at intake and again by each device. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from .geo import circle_area_m2
from .records import EXCLUDED_PURPOSES, INCIDENTS, Agency, Request

MINUTE_US = 60 * 1_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit, with its unit in the name."""

    window_min_us: int = 15 * MINUTE_US
    window_max_us: int = 12 * HOUR_US
    area_min_m2: int = 64_750  # 0.025 square miles
    area_max_m2: int = 1_294_994  # 0.5 square miles
    look_back_max_us: int = 45 * DAY_US
    posts_per_case: int = 2
    open_per_agency: int = 200  # each costs every device of its cell some kilobytes
    posts_per_day: int = 200  # what is withdrawn at once is no longer open, but everybody has stored and read it
    updates_per_request: int = 16
    open_for_max_us: int = 30 * DAY_US
    retention_max_days: int = 180
    clock_skew_us: int = 5 * MINUTE_US
    clips_per_share: int = 10
    clip_max_us: int = MINUTE_US


DEFAULT_OPEN_FOR_US = 14 * DAY_US
DEFAULT_LOOK_BACK_US = 30 * DAY_US


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a request breaks: its stable code, and a sentence for people."""

    rule: str
    message: str


def check_request(request: Request, agency: Agency, *, limits: Limits, now_us: int) -> list[Violation]:
    """Return every rule that a request breaks as it stands, at `now_us`; empty if it may be asked.

    Posts a case need the history, and are counted where the history is (`check_posts`).
    """
    return [
        *_times(request, limits, now_us),
        *_area(request, limits),
        *_terms(request, agency, limits),
    ]


def check_posts(earlier_posts: int, *, limits: Limits) -> list[Violation]:
    """Return the violation if a case was posted as often as it may be already."""
    if earlier_posts < limits.posts_per_case:
        return []
    return [Violation("posts-per-case", f"this case was posted {earlier_posts} times, the most there may be")]


def check_open(now_open: int, *, limits: Limits) -> list[Violation]:
    """Return the violation if an agency has as many requests open as it may have already."""
    if now_open < limits.open_per_agency:
        return []
    return [Violation("open-requests", f"the agency has {now_open} requests open, the most there may be")]


def check_rate(posted_today: int, *, limits: Limits) -> list[Violation]:
    """Return the violation if an agency has posted as much within a day as it may."""
    if posted_today < limits.posts_per_day:
        return []
    return [
        Violation("posts-per-day", f"the agency posted {posted_today} requests within a day, the most there may be")
    ]


def check_agency(agency: Agency) -> list[Violation]:
    """Return what speaks against admitting an agency as its record says it is."""
    if in_domain(agency.contact, agency.domain):
        return []
    return [Violation("contact", f"the contact must be an address in the agency's domain, {agency.domain}")]


def in_domain(address: str, domain: str) -> bool:
    """Tell whether a mail address is in a domain or below it."""
    host = address.partition("@")[2]
    return host == domain or host.endswith("." + domain)


def _times(request: Request, limits: Limits, now_us: int) -> Iterator[Violation]:
    window_us = request.end - request.start
    if not limits.window_min_us <= window_us <= limits.window_max_us:
        yield Violation("window", f"the window is {window_us / MINUTE_US:g} minutes; it may be 15 minutes to 12 hours")
    if request.end > request.posted_at:
        yield Violation("window-past", "the window must lie in the past when the request is posted")
    if request.posted_at - request.start > limits.look_back_max_us:
        yield Violation("look-back", f"the window begins more than {limits.look_back_max_us // DAY_US} days back")
    open_us = request.expires_at - request.posted_at
    if not 0 < open_us <= limits.open_for_max_us:
        most = limits.open_for_max_us // DAY_US
        yield Violation("expires", f"the request is open for {open_us / DAY_US:g} days; {most} at the most")
    if request.posted_at > now_us + limits.clock_skew_us:
        yield Violation("posted-ahead", "the request says it was posted in the future")
    if request.expires_at <= now_us:
        yield Violation("expired", "the request has expired")


def _area(request: Request, limits: Limits) -> Iterator[Violation]:
    area_m2 = circle_area_m2(request.area.radius_m)
    if not limits.area_min_m2 <= area_m2 <= limits.area_max_m2:
        yield Violation(
            "area",
            f"a circle of {request.area.radius_m} m covers {area_m2:,.0f} m2; "
            f"it may cover {limits.area_min_m2:,} to {limits.area_max_m2:,} m2 (144 to 642 m)",
        )


def _terms(request: Request, agency: Agency, limits: Limits) -> Iterator[Violation]:
    if request.agency != agency.agency:
        yield Violation("agency", f"the request names agency {request.agency}, the record admits {agency.agency}")
    if request.incident not in INCIDENTS:
        yield Violation("incident", f"{request.incident!r} is not on the list: {', '.join(INCIDENTS)}")
    if not in_domain(request.contact, agency.domain):
        yield Violation("contact", f"the contact must be an address in {agency.domain}")
    if not 1 <= request.retention_days <= limits.retention_max_days:
        yield Violation("retention", f"footage may be kept 1 to {limits.retention_max_days} days")
    missing = sorted(set(EXCLUDED_PURPOSES) - set(request.excludes))
    if missing or len(set(request.excludes)) != len(request.excludes):
        yield Violation(
            "excludes", f"the request must declare that it does not serve: {', '.join(missing) or 'each once'}"
        )
    if len(set(request.devices)) != len(request.devices):
        yield Violation("devices", "each kind of device may stand once")
