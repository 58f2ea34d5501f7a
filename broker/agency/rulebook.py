"""How a request stands against every rule before it is posted: what it says, the limit, kept or broken. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from broker.wire.geo import circle_area_m2
from broker.wire.records import EXCLUDED_PURPOSES, Agency, Request
from broker.wire.rules import DAY_US, MINUTE_US, Limits, Violation, check_open, check_posts, check_request
from broker.words import area_text, duration_text, miles_text, moment_text


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One rule: what the request says to it, what it may say, whether it is kept, and if not, why."""

    rule: str
    value: str
    limit: str
    kept: bool
    message: str = ""


def preview(
    request: Request,
    agency: Agency,
    *,
    now_us: int,
    earlier_posts: int = 0,
    now_open: int = 0,
    limits: Limits | None = None,
) -> list[PreviewRow]:
    """Return every rule, kept or broken, in the order in which the rules are published.

    `earlier_posts` counts those of the case, `now_open` the agency's open requests.
    """
    limits = limits or Limits()
    violations: list[Violation] = [
        *check_request(request, agency, limits=limits, now_us=now_us),
        *check_posts(earlier_posts, limits=limits),
        *check_open(now_open, limits=limits),
    ]
    broken = {violation.rule: violation.message for violation in violations}
    rules = _rules(request, agency, limits, earlier_posts=earlier_posts, now_open=now_open)
    rows = [
        PreviewRow(rule, value, limit, rule not in broken, broken.get(rule, ""))
        for rule, (value, limit) in rules.items()
    ]
    # A rule that this table does not know yet must still be seen when it is broken.
    rows += [
        PreviewRow(rule, "", "", kept=False, message=message) for rule, message in broken.items() if rule not in rules
    ]
    return rows


def broken_text(rows: Iterable[PreviewRow]) -> str:
    """Return a line for every rule that is broken; empty if none is."""
    return "\n".join(f"{row.message} [{row.rule}]" for row in rows if not row.kept)


def radius_range(limits: Limits) -> tuple[int, int]:
    """Return the smallest and the largest radius in whole metres that a request's circle may have."""
    return math.ceil(math.sqrt(limits.area_min_m2 / math.pi)), math.isqrt(int(limits.area_max_m2 / math.pi))


def _rules(
    request: Request, agency: Agency, limits: Limits, *, earlier_posts: int, now_open: int
) -> dict[str, tuple[str, str]]:
    """Return the request's value and the limit of each rule."""
    area_m2 = circle_area_m2(request.area.radius_m)
    least, most = radius_range(limits)
    back_days = (request.posted_at - request.start) / DAY_US
    open_days = (request.expires_at - request.posted_at) / DAY_US
    retention = f"1 to {limits.retention_max_days} days"
    return {
        "window": (
            f"{(request.end - request.start) / MINUTE_US:,g} minutes",
            f"{duration_text(limits.window_min_us)} to {duration_text(limits.window_max_us)}",
        ),
        "window-past": (f"ends {moment_text(request.end)}", "ends before it is posted"),
        "look-back": (f"begins {back_days:.1f} days back", f"at most {limits.look_back_max_us // DAY_US} days"),
        "area": (
            f"radius {request.area.radius_m} m, {area_text(area_m2)}",
            f"radius {least} to {most} m, {miles_text(limits.area_min_m2)} to {miles_text(limits.area_max_m2)} sq mi",
        ),
        "posts-per-case": (
            f"{request.case}: {earlier_posts} earlier",
            f"{limits.posts_per_case} posts a case, this one included",
        ),
        "open-requests": (f"{now_open} open now", f"{limits.open_per_agency} open at a time, this one included"),
        "agency": (request.agency, agency.agency),
        "incident": (request.incident, "one of the published list"),
        "contact": (request.contact, f"an address in {agency.domain}"),
        "retention": (f"{request.retention_days:,} days", retention),
        "excludes": (", ".join(request.excludes) or "nothing", f"all of: {', '.join(EXCLUDED_PURPOSES)}"),
        "devices": (", ".join(request.devices), "each kind once"),
        "expires": (f"open for {open_days:,g} days", f"at most {limits.open_for_max_us // DAY_US} days"),
        "posted-ahead": (f"posted {moment_text(request.posted_at)}", "not in the future"),
        "expired": (f"until {moment_text(request.expires_at)}", "still open when it is posted"),
    }
