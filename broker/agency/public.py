"""What the public will read of a request that is not posted yet: as values, as text, and as a page of its own. Pure."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.wire.geo import circle_area_m2
from broker.wire.records import Agency, Area, Request
from broker.words import (
    area_text,
    count_text,
    duration_text,
    excluded_text,
    incident_text,
    moment_text,
    place_text,
    window_text,
)

from .rulebook import PreviewRow

if TYPE_CHECKING:
    from jinja2 import Environment

_CIRCLE = 92  # the drawn circle's radius in a figure of 240 by 240
_COLUMN = 14
_BARS_M = (50, 100, 200, 250, 500, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Figure:
    """A circle to scale: its radius and the scale bar's length in the figure's units, the bar's label, all in words."""

    radius: int
    bar: float
    label: str
    description: str


@dataclass(frozen=True, slots=True)
class PublicView:
    """Everything that a request's public page says. `terms` are pairs of a word and what is said to it."""

    title: str
    agency: str
    domain: str
    devices: str
    paragraphs: tuple[str, ...]
    window: str
    duration: str
    place: str
    radius_m: int
    area: str
    figure: Figure
    terms: tuple[tuple[str, str], ...]


def public_view(request: Request, agency: Agency) -> PublicView:
    """Return what there is to read of a request."""
    kept = "not at all" if request.retention_days == 0 else count_text(request.retention_days, "day")
    terms = (
        ("Case", request.case),
        ("Purpose", request.purpose),
        ("Kept for", kept),
        ("Shared with", "; ".join(request.sharing) or "nobody else"),
        ("Not used for", ", ".join(excluded_text(code) for code in request.excludes) or "nothing is excluded"),
        ("Posted", moment_text(request.posted_at)),
        ("Expires", moment_text(request.expires_at)),
        ("Contact", request.contact),
        ("Sealed to", request.recipient),
    )
    return PublicView(
        title=incident_text(request.incident),
        agency=agency.name,
        domain=agency.domain,
        devices=" and ".join(f"{kind}s" for kind in request.devices),
        paragraphs=tuple(line for line in request.description.split("\n") if line.strip()),
        window=window_text(request.start, request.end),
        duration=duration_text(request.end - request.start)
        if request.end > request.start
        else "it ends before it begins",
        place=place_text(request.area.centre),
        radius_m=request.area.radius_m,
        area=area_text(circle_area_m2(request.area.radius_m)),
        figure=figure_of(request.area),
        terms=terms,
    )


def figure_of(area: Area) -> Figure:
    """Return the circle to scale, with the longest scale bar that fits its radius."""
    bar_m = max((step for step in _BARS_M if step <= area.radius_m), default=_BARS_M[0])
    return Figure(
        radius=_CIRCLE,
        bar=round(_CIRCLE * bar_m / area.radius_m, 1),
        label=f"{bar_m:,} m",
        description=f"A circle of {area.radius_m:,} metres around {place_text(area.centre)}",
    )


def preview_text(view: PublicView, *, width: int = 100) -> str:
    """Return the public page as plain lines of at most `width` characters, where a word is no longer than that."""
    terms = (
        ("Filmed", f"{view.window} ({view.duration})"),
        ("Within", f"{view.radius_m:,} m of {view.place}, {view.area}"),
        *view.terms,
    )
    lines = [
        view.title,
        _wrapped(f"{view.agency} ({view.domain}) asks the owners of {view.devices} for footage.", "", width),
        "",
        *(_wrapped(f"  {paragraph}", "  ", width) for paragraph in view.paragraphs),
        "",
        *(_wrapped(f"  {word:<{_COLUMN}}{said}", " " * (_COLUMN + 2), width) for word, said in terms),
    ]
    return "\n".join(lines)


def preview_page(view: PublicView, rows: Sequence[PreviewRow]) -> str:
    """Return one HTML page, whole in itself: what the public will read, and the rules."""
    return pages().get_template("preview.html").render(view=view, rows=rows)


def _wrapped(text: str, indent: str, width: int) -> str:
    lines = textwrap.wrap(
        text, max(width, 2 * _COLUMN), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines)


def pages() -> "Environment":
    """Return the templates: `public.html` has the macros that other pages may use too."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - few commands make a page

    return Environment(
        loader=PackageLoader("broker.agency"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
