"""How ages, lengths and reasons are written for people."""

import inspect
import re

import pytest

import broker.wire.rules
from broker.feed.texts import REASONS, ago_text, length_text, moment, number_text, reason_text
from broker.log import intake
from broker.wire.encoding import parse_time
from broker.wire.rules import DAY_US, HOUR_US

AT_US = parse_time("2026-05-03T23:05:59.000001Z")


def test_a_moment_is_for_people_and_for_programs() -> None:
    """To the minute in words, whole for machines."""
    assert moment(AT_US).text == "3 May 2026, 23:05 UTC"
    assert moment(AT_US).iso == "2026-05-03T23:05:59.000001Z"


@pytest.mark.parametrize(
    ("age_us", "text"),
    [(-5, "0 s ago"), (59_000_000, "59 s ago"), (HOUR_US, "1 hour ago"), (3 * DAY_US, "3 days ago")],
)
def test_an_age_is_told_roughly(age_us: int, text: str) -> None:
    """One unit, the largest that fits; a clock that is ahead is no reason for a negative age."""
    assert ago_text(age_us) == text


def test_numbers_have_their_thousands_apart() -> None:
    """Lengths take the unit that suits them."""
    assert number_text(1_234) == "1,234"
    assert (length_text(500), length_text(2_000)) == ("500 m", "2 km")


def test_every_reason_of_a_refusal_has_its_words() -> None:
    """The codes that intake and the rules name are all told in words; an unknown one is still readable."""
    named = set(re.findall(r"^    ([a-z-]+)  +\S", intake.__doc__ or "", re.MULTILINE))
    rules = set(re.findall(r'Violation\(\s*"([a-z-]+)"', inspect.getsource(broker.wire.rules)))
    assert named >= {"malformed", "signature", "closed"}
    assert rules >= {"window", "area", "retention"}
    assert named | rules <= REASONS.keys()
    assert reason_text("never-heard") == "never heard"
