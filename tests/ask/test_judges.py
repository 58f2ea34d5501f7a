"""The script and the server judge by the same rules: asked the same, each says the same."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.agency.values import moment_us, place
from broker.ask.form import parse_form
from broker.ask.verdict import judge
from broker.wire.records import EXCLUDED_PURPOSES
from broker.wire.rules import Limits
from tests.agency.support import NOW_US
from tests.ask.browsing import Shown
from tests.ask.support import FORM, a_book, encoded

pytestmark = [pytest.mark.chromium, pytest.mark.slow, pytest.mark.xdist_group("chromium")]

RULES = {"window", "window-past", "look-back", "area", "contact", "retention", "excludes", "devices", "expires"}


def _drawn(chance: random.Random) -> dict[str, Any]:
    now = datetime.fromtimestamp(NOW_US / 1e6, UTC)
    start = now - timedelta(
        minutes=chance.choice([0, 10, 600, 60 * 24 * 44, 60 * 24 * 45, 60 * 24 * 60]) + chance.randrange(900)
    )
    end = start + timedelta(minutes=chance.choice([-5, 0, 14, 15, 16, 719, 720, 721, 90]))
    zone = chance.choice(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "Nowhere/Else"])
    return FORM | {
        "start": start.strftime("%Y-%m-%dT%H:%M"),
        "end": end.strftime("%Y-%m-%dT%H:%M"),
        "zone": zone,
        "radius_m": str(chance.choice([1, 143, 144, 250, 642, 643, 99_999])),
        "retention_days": str(chance.choice([0, 1, 30, 180, 181])),
        "expires_in_days": chance.choice(["0.001", "1", "14", "30", "30.5", "29.999999"]),
        "contact": chance.choice(
            ["", "a@northtown.example", "a@x.northtown.example", "a@notnorthtown.example", "a@southtown.example"]
        ),
        "excludes": chance.choice([list(EXCLUDED_PURPOSES), list(EXCLUDED_PURPOSES[1:]), ["profiling"]]),
        "devices": chance.choice([["camera"], ["doorbell", "camera"]]),
    }


def test_script_and_server_judge_alike(shown: Shown) -> None:
    """For hundreds of forms around every limit: what one calls broken the other does."""
    chance = random.Random(7)
    forms = [_drawn(chance) for _ in range(400)]
    judged = shown.page.evaluate(
        """async ([forms, nowUs]) => {
            const { judge } = await import(document.querySelector("script[type=module]").src);
            const facts = JSON.parse(document.getElementById("ask").dataset.facts);
            return forms.map((form) => judge(form, facts, nowUs).map(({ rule, kept }) => [rule, kept]));
        }""",
        [forms, NOW_US],
    )
    agencies = {one.agency.agency: one.agency for one in a_book().agencies()}
    unread = 0
    for form, rows in zip(forms, judged, strict=True):
        theirs = dict(rows)
        assert set(theirs) == RULES
        verdict = judge(
            parse_form(encoded(form)), agencies, now_us=NOW_US, limits=Limits(),
            earlier_posts=lambda _agency, _case: 0, open_requests=lambda _: 0,
        )  # fmt: skip
        if not verdict.rows:
            unread += 1
            assert form["zone"] == "Nowhere/Else", verdict.faults
            assert theirs["window"] is False
            continue
        ours = {row.rule: row.kept for row in verdict.rows if row.rule in RULES}
        assert theirs == ours, form
    assert unread < 200


def test_clock_changes_are_alike(shown: Shown) -> None:
    """An hour that came twice, or never, is no time for the script as it is none for the server."""
    asked = [
        ["2026-03-29T02:30", "Europe/Berlin"],
        ["2026-10-25T02:30", "Europe/Berlin"],
        ["2026-03-29T01:59", "Europe/Berlin"],
        ["2026-03-29T03:00", "Europe/Berlin"],
        ["2026-11-01T01:30", "America/New_York"],
        ["2026-05-01T12:00", "Asia/Kathmandu"],
        ["2026-05-01", "UTC"],
        ["", "UTC"],
        ["2026-05-01T12:00", ""],
        ["2026-05-01T12:00", "Berlin"],
    ]
    found = shown.page.evaluate(
        """async (asked) => {
            const { instantUs } = await import(document.querySelector("script[type=module]").src);
            return asked.map(([local, zone]) => instantUs(local, zone));
        }""",
        asked,
    )
    for (local, zone), at_us in zip(asked, found, strict=True):
        try:
            ours = moment_us(local, zone)
        except ValueError:
            ours = None
        assert at_us == ours, (local, zone)
    assert [at_us is None for at_us in found] == [True, True, False, False, True, False, True, True, True, True]


def test_places_are_read_alike(shown: Shown) -> None:
    """The drawing's middle is where the request's is, however it is written; what is no place is none for both."""
    texts = [
        "52.5203N 13.4054E", "52.5203, 13.4054", "13.4054E 52.5203N", "52.5203° N, 13.4054° W", "-33.9;-70.5", "+1 -2",
        "", "52.5", "1N 2N", "1N 2", "-1N 2E", "a b", "1.2.3, 4", "52.5203n13.4054e", "1,2,3", "0S 0W",
    ]  # fmt: skip
    found = shown.page.evaluate(
        """async (texts) => {
            const { place } = await import(document.querySelector("script[type=module]").src);
            return texts.map((text) => place(text));
        }""",
        texts,
    )
    for text, theirs in zip(texts, found, strict=True):
        try:
            ours = list(place(text))
        except ValueError:
            ours = None
        assert theirs == ours, text
    assert [one is not None for one in found] == [True] * 6 + [False] * 9 + [True]
