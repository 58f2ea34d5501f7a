"""Request files: read strictly, built exactly, previewed rule by rule."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.agency import AgencyFolder, RequestFileError, load_request_file, preview
from broker.agency.rulebook import broken_text, radius_range
from broker.wire.encoding import parse_time
from broker.wire.geo import circle_area_m2
from broker.wire.records import EXCLUDED_PURPOSES, Request
from broker.wire.rules import DAY_US, Limits, check_request
from tests.agency.support import HOUR_US

TEXT = """
case = "26-001234"
incident = "package-theft"
description = "A parcel was taken from a porch."
lat = 52.52
lon = 13
radius_m = 300
start = 2026-05-28T19:00:00+02:00
end = "2026-05-28T20:30:00+02:00"
purpose = "to find who took the parcel"
retention_days = 30
"""
POSTED_US = parse_time("2026-05-29T08:00:00.000000Z")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "request.toml"
    path.write_text(text, encoding="utf-8")
    return path


def built(tmp_path: Path, folder: AgencyFolder, text: str = TEXT, **flags: Any) -> Request:
    draft = load_request_file(write(tmp_path, text), flags)
    return draft.build(folder.as_admitted(POSTED_US), recipient=folder.recipient(), now_us=POSTED_US)


def test_a_request(tmp_path: Path, folder: AgencyFolder) -> None:
    """Offsets become UTC, degrees ten-millionths, and what is not given gets its stated default."""
    request = built(tmp_path, folder)
    assert request.start == parse_time("2026-05-28T17:00:00.000000Z")
    assert request.end - request.start == 90 * 60 * 1_000_000
    assert (request.area.lat_e7, request.area.lon_e7, request.area.radius_m) == (525_200_000, 130_000_000, 300)
    assert request.expires_at - request.posted_at == 14 * DAY_US
    assert (request.contact, request.recipient) == ("desk@northtown.example", folder.recipient())
    assert request.excludes == EXCLUDED_PURPOSES
    rows = preview(request, folder.as_admitted(POSTED_US), now_us=POSTED_US)
    assert all(row.kept for row in rows), rows
    assert all(row.value and row.limit for row in rows)


def test_flags_win(tmp_path: Path, folder: AgencyFolder) -> None:
    """A flag replaces the file's value; an area replaces a radius; one not given changes nothing."""
    request = built(
        tmp_path, folder, area_m2=500_000, case="26-9", devices=["doorbell"], expires_in_days=2, retention_days=None
    )
    assert (request.case, request.devices, request.retention_days) == ("26-9", ("doorbell",), 30)
    assert request.area.radius_m == 398
    assert request.expires_at - request.posted_at == 2 * DAY_US
    without_file = load_request_file(None, load_request_file(write(tmp_path, TEXT)).model_dump() | START_AND_END)
    assert without_file.case == "26-001234"


START_AND_END = {"start": "2026-05-28T17:00:00Z", "end": "2026-05-28T18:00:00Z"}


@given(st.integers(64_750, 1_294_994))
def test_an_area_is_never_widened(area_m2: int) -> None:
    """The circle made from an area covers at most that area, and hardly less."""
    values = {"case": "1", "incident": "theft", "description": "d", "purpose": "p", "retention_days": 1}
    draft = load_request_file(None, {**values, **START_AND_END, "lat": 1.0, "lon": 1.0, "area_m2": area_m2})
    assert circle_area_m2(draft.radius) <= area_m2
    assert circle_area_m2(draft.radius + 1) > area_m2 - 3 * math.pi * draft.radius


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("radius_m = 300", "radius_m = 300\nradius = 3", "radius"),
        ("radius_m = 300", "radius_m = 300\narea_m2 = 70000", None),
        ("radius_m = 300", "", None),
        ("radius_m = 300", 'radius_m = "300"', "radius_m"),
        ("lat = 52.52", "lat = 152.52", "lat"),
        ("lat = 52.52", "lat = nan", "lat"),
        ("lat = 52.52", 'lat = "52.52E"', "lat"),
        ("2026-05-28T19:00:00+02:00\n", "2026-05-28T19:00:00\n", "start"),
        ("2026-05-28T19:00:00+02:00\n", "2026-05-28\n", "start"),
        ('"2026-05-28T20:30:00+02:00"', '"yesterday"', "end"),
        ('"2026-05-28T20:30:00+02:00"', '"2026-05-28T20:30:00"', "end"),
        ("retention_days = 30", "retention_days = 30.5", "retention_days"),
        ("retention_days = 30", "retention_days = true", "retention_days"),
        ('purpose = "to find', 'purpose = " to find', "purpose"),
        ('case = "26-001234"', 'case = "26\\u202e1234"', "case"),
        ('case = "26-001234"', 'case = "a\\nb"', "case"),
        ('incident = "package-theft"', 'incident = "Package Theft"', "incident"),
        ('case = "26-001234"', "", "case"),
    ],
)
def test_wrong_values(tmp_path: Path, old: str, new: str, key: str | None) -> None:
    """One line that names the file and the key."""
    assert old in TEXT
    path = write(tmp_path, TEXT.replace(old, new))
    with pytest.raises(RequestFileError) as caught:
        load_request_file(path)
    assert caught.value.key == key
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert key is None or key in str(caught.value)


def test_every_mistake_is_told(tmp_path: Path) -> None:
    """A line for each: the file and key or the flag, what is wrong, and how it is written."""
    text = (
        TEXT.replace("radius_m = 300", "radius = 300")
        .replace("52.52", '"52.52X"')
        .replace("2026-05-28T19:00:00", "now")
    )
    path = write(tmp_path, text.replace("start = now+02:00", 'start = "now"').replace('case = "26-001234"', ""))
    with pytest.raises(RequestFileError) as caught:
        load_request_file(path, {"end": "2026-05-28 20:30", "retention_days": -1, "zone": "Berlin"})
    lines = str(caught.value).splitlines()
    expected = {
        f"{path}: lat: '52.52X' is no number of degrees": "52.5203N",
        f"{path}: start: 'now' is no date and time": "+02:00",
        f"{path}: case: is missing": "26-001234",
        f"{path}: radius: is not a key that is known here; did you mean radius_m?": "",
        "--zone: 'Berlin' is no time zone; did you mean Europe/Berlin?": "UTC",
        "--retention-days: ": "30",
    }
    assert len(lines) == len(expected), lines
    for said, hint in expected.items():
        (line,) = (line for line in lines if line.startswith(said))
        assert hint in line
    assert {one.key for one in caught.value.mistakes} == {"lat", "start", "case", "radius", "zone", "retention_days"}


FRIENDLY = {"at": "52.52N 13E", "start": "2026-05-28 19:00", "window": "90 min", "zone": "Europe/Berlin"}


def test_friendly_values(tmp_path: Path, folder: AgencyFolder) -> None:
    """Coordinates, sizes and times in other words give the very same request, from a file as from flags."""
    plain = built(tmp_path, folder)
    text = """at = "52.52N 13E"\narea_sq_mi = 0.10917\nstart = 2026-05-28T19:00:00\nwindow = "1h 30m"
zone = "Europe/Berlin"\n"""
    kept = [line for line in TEXT.splitlines() if line.split(" ")[0] not in {"lat", "lon", "radius_m", "start", "end"}]
    assert built(tmp_path, folder, text + "\n".join(kept)) == plain
    for flags in (
        FRIENDLY,
        {"window": "90m"},
        {"lat": "52.52N", "lon": "13.0"},
        {"end": "2026-05-28 18:30Z", "window": "1.5h"},
        {"start": "2026-05-28 19:00 +02:00"},
    ):
        assert built(tmp_path, folder, **flags) == plain


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"start": "2026-05-28 19:00Z", "end": "2026-05-28 20:00Z", "window": "1h"}, "two of the three"),
        ({"at": "1N 1E", "lat": 5.0}, "one or the other"),
        ({"area_m2": 70_000, "area_sq_mi": 0.1}, "one or the other"),
        ({"window": "long"}, "no length of time"),
    ],
)
def test_values_that_contradict(tmp_path: Path, flags: dict[str, Any], said: str) -> None:
    """What is said twice in one place is not chosen from."""
    with pytest.raises(RequestFileError, match=said):
        load_request_file(write(tmp_path, TEXT), flags)


def test_a_window_alone() -> None:
    """A length of time without a begin or an end is told as that."""
    with pytest.raises(RequestFileError, match="needs a start or an end"):
        load_request_file(None, {"window": "1h"})


def test_odd_keys_are_shown_harmlessly(tmp_path: Path) -> None:
    """A key that would steer a terminal is shown by its escapes."""
    with pytest.raises(RequestFileError) as caught:
        load_request_file(write(tmp_path, TEXT + '"\\u001b[31mred\\nkey" = 1\n'))
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_unreadable_files(tmp_path: Path) -> None:
    """A file that is missing, huge, or no TOML is named."""
    with pytest.raises(RequestFileError, match="can't be read"):
        load_request_file(tmp_path / "none.toml")
    with pytest.raises(RequestFileError, match="no TOML"):
        load_request_file(write(tmp_path, "case = "))
    with pytest.raises(RequestFileError, match="more than"):
        load_request_file(write(tmp_path, "#" * 70_000))


def test_values_that_only_the_record_refuses(tmp_path: Path, folder: AgencyFolder) -> None:
    """A contact or a kind of device that no request can hold is named when the request is built."""
    for flags, key in (({"contact": "nobody"}, "contact"), ({"devices": ["toaster"]}, "devices")):
        with pytest.raises(RequestFileError, match=key):
            built(tmp_path, folder, **flags)


@pytest.mark.parametrize(
    ("flags", "rule"),
    [
        ({"radius_m": 100}, "area"),
        ({"radius_m": 700}, "area"),
        ({"end": "2026-05-28T19:10:00+02:00"}, "window"),
        ({"end": "2026-05-29T19:10:00+02:00"}, "window-past"),
        ({"start": "2026-03-28T19:10:00+02:00"}, "look-back"),
        ({"expires_in_days": 31}, "expires"),
        ({"incident": "parade"}, "incident"),
        ({"contact": "me@mail.example"}, "contact"),
        ({"retention_days": 181}, "retention"),
        ({"retention_days": 0}, "retention"),
        ({"excludes": ["profiling"]}, "excludes"),
        ({"devices": ["camera", "camera"]}, "devices"),
    ],
)
def test_broken_rules_are_shown(tmp_path: Path, folder: AgencyFolder, flags: dict[str, Any], rule: str) -> None:
    """A preview marks the broken rule with its reason, and keeps showing the others."""
    request = built(tmp_path, folder, **flags)
    rows = {row.rule: row for row in preview(request, folder.as_admitted(POSTED_US), now_us=POSTED_US)}
    assert not rows[rule].kept
    assert rows[rule].message
    broken = {row.rule for row in rows.values() if not row.kept}
    violations = check_request(request, folder.as_admitted(POSTED_US), limits=Limits(), now_us=POSTED_US)
    assert broken == {violation.rule for violation in violations}


def test_posts_and_later_rules(tmp_path: Path, folder: AgencyFolder) -> None:
    """A case that was posted twice, and a request that has expired by now, are shown so."""
    request = built(tmp_path, folder)
    later = request.expires_at + HOUR_US
    rows = preview(request, folder.as_admitted(POSTED_US), now_us=later, earlier_posts=2, now_open=200)
    assert {row.rule for row in rows if not row.kept} == {"posts-per-case", "open-requests", "expired"}
    assert len(broken_text(rows).splitlines()) == 3
    assert broken_text([row for row in rows if row.kept]) == ""


def test_the_radii_that_there_may_be() -> None:
    """The radii that are shown as limits are the outermost whole metres that keep the area."""
    limits = Limits()
    least, most = radius_range(limits)
    assert (least, most) == (144, 642)
    for radius, inside in ((least, True), (least - 1, False), (most, True), (most + 1, False)):
        assert (limits.area_min_m2 <= circle_area_m2(radius) <= limits.area_max_m2) is inside
