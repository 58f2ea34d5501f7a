"""How long one waits after wrong passphrases."""

from hypothesis import given
from hypothesis import strategies as st

from device.console.attempts import FREE, LONGEST_S, Attempts

NOW = 1_000_000_000


def test_the_first_mistake_costs_nothing_and_each_further_one_twice_as_much() -> None:
    attempts, waits = Attempts(), []
    for _ in range(9):
        attempts.failed(NOW)
        waits.append(attempts.wait_s(NOW))
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert FREE == 2


@given(st.integers(0, 10_000))
def test_however_often_somebody_is_wrong_the_wait_is_bounded_and_ends(times: int) -> None:
    attempts = Attempts()
    for _ in range(min(times, 50)):
        attempts.failed(NOW)
    attempts.wrong += times
    attempts.failed(NOW)
    assert 0 <= attempts.wait_s(NOW) <= LONGEST_S
    assert attempts.wait_s(NOW + int(LONGEST_S * 1_000_000)) == 0


def test_a_right_passphrase_forgets_the_wrong_ones() -> None:
    attempts = Attempts()
    for _ in range(5):
        attempts.failed(NOW)
    attempts.succeeded()
    assert attempts.wait_s(NOW) == 0
    attempts.failed(NOW)
    assert attempts.wait_s(NOW) == 0
