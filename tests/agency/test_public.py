"""What the public will read, shown before it is posted: as text, and as one page that needs nothing else."""

import re
from pathlib import Path

import pytest

from broker.agency import AgencyFolder, preview
from broker.agency.public import figure_of, preview_page, preview_text, public_view
from broker.wire.records import Area, Request
from tests.agency.support import NOW_US, make_request

ODD = '<script>alert("x")</script> & [red]'


def changed(folder: AgencyFolder, **values: object) -> Request:
    return make_request(folder.recipient()).model_copy(update=values)


def page_of(folder: AgencyFolder, request: Request) -> str:
    agency = folder.as_admitted(NOW_US)
    return preview_page(public_view(request, agency), preview(request, agency, now_us=NOW_US))


def test_all_that_is_public_is_shown(folder: AgencyFolder) -> None:
    """Title, place, window, terms, expiry, what it is not for, and the contact, in the text as on the page."""
    request = changed(folder, sharing=("Southtown Police",), description="A parcel.\n\nA van.")
    view = public_view(request, folder.as_admitted(NOW_US))
    for shown in (preview_text(view, width=200), page_of(folder, request)):
        for part in (
            "Package theft", "Northtown Police", "A parcel.", "A van.", "52.00000° N, 13.00000° E", "300",
            "28 May 2026, 16:26 to 18:26 UTC", "2 hours", "26-0001", "to find who took the parcel", "30 days",
            "0.109 sq mi", "Southtown Police", "people by protected traits", "29 May 2026, 20:26 UTC",
            "desk@northtown.example", folder.recipient(),
        ):  # fmt: skip
            assert part in shown, part


def test_the_page_needs_nothing_else(folder: AgencyFolder) -> None:
    """No script, no address, no file: whatever an agency wrote stands in it as text."""
    page = page_of(folder, changed(folder, description=ODD, purpose=ODD, case=ODD))
    assert not re.search(r"<script|<link|<img|<iframe|\ssrc=|\shref=|url\(|@import", page)
    assert page.count("&lt;script&gt;") >= 3
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_rules_on_the_page(folder: AgencyFolder) -> None:
    """Every rule has its value and limit; one that is broken says why."""
    request = changed(folder, retention_days=400, area=Area(lat_e7=0, lon_e7=0, radius_m=5_000))
    page = page_of(folder, request)
    assert "Rules that are broken: 2" in page
    for row in preview(request, folder.as_admitted(NOW_US), now_us=NOW_US):
        assert f'data-rule="{row.rule}"' in page
        assert row.kept or row.message in page
    assert "All rules are kept" in page_of(folder, changed(folder))


@pytest.mark.parametrize("radius_m", [1, 49, 144, 642, 5_000, 100_000])
def test_the_scale_bar_fits(radius_m: int) -> None:
    """The bar is as long as it says, and no wider than the figure, for all but tiny circles."""
    figure = figure_of(Area(lat_e7=0, lon_e7=0, radius_m=radius_m))
    metres = int(figure.label.split()[0].replace(",", ""))
    assert figure.bar == pytest.approx(figure.radius * metres / radius_m, abs=0.1)
    assert radius_m < 50 or figure.bar <= figure.radius


def test_windows_that_run_backwards(folder: AgencyFolder) -> None:
    """A window that ends before it begins is shown as that, so that the rule's message is understood."""
    request = changed(folder, start=NOW_US, end=NOW_US - 1)
    assert "ends before it begins" in preview_text(public_view(request, folder.as_admitted(NOW_US)))


def test_written_whole(folder: AgencyFolder, tmp_path: Path) -> None:
    """The page is one HTML document."""
    page = page_of(folder, changed(folder))
    assert page.lstrip().startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    (tmp_path / "preview.html").write_text(page)
