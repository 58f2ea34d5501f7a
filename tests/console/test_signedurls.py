"""Signed addresses: the right to what they show, for minutes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.console.signedurls import LIFE_US, MAX_ADDRESS, PREFIX, AddressError, SignedAddresses

NOW = 1_800_000_000_000_000
SHOW = {"what": "thumbnail", "device": "porch", "clip": "c", "number": 0}
ADDRESSES = SignedAddresses(bytes(32))


def test_an_address_tells_what_it_shows_until_its_time_is_over() -> None:
    address = ADDRESSES.make(SHOW, NOW)
    assert ADDRESSES.read(address, NOW + LIFE_US - 1) == SHOW
    with pytest.raises(AddressError, match="too old"):
        ADDRESSES.read(address, NOW + LIFE_US)


def test_an_address_of_another_console_or_of_before_the_lock_opens_nothing() -> None:
    with pytest.raises(AddressError, match="not made by this console"):
        SignedAddresses(b"\1" * 32).read(ADDRESSES.make(SHOW, NOW), NOW)


@given(st.data())
def test_no_address_that_differs_in_one_place_is_taken(data: st.DataObject) -> None:
    address = ADDRESSES.make(SHOW, NOW)
    at = data.draw(st.integers(0, len(address) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda one: one != address[at]))
    with pytest.raises(AddressError):
        ADDRESSES.read(address[:at] + other + address[at + 1 :], NOW)


@given(st.text(max_size=300))
def test_whatever_stands_in_an_address_is_refused_in_words(text: str) -> None:
    for path in (text, PREFIX + text, PREFIX + text + "." + text):
        with pytest.raises(AddressError):
            ADDRESSES.read(path, NOW)


def test_an_endless_address_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(AddressError, match="nothing at this address"):
        ADDRESSES.read(PREFIX + "a" * MAX_ADDRESS, NOW)
