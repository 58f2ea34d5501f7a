"""What is made from settings: above all, when two brokers may be one."""

import pytest

from device.parts import may_be_one_broker
from device.settings import MqttSection


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("127.0.0.1", 1883), ("127.0.0.1", 1883), True),
        (("localhost", 1883), ("127.0.0.1", 1883), True),
        (("127.0.0.1", 1883), ("::1", 8883), True),
        (("192.0.2.1", 1883), ("192.0.2.1", 8883), True),
        (("192.0.2.1", 1883), ("192.0.2.2", 1883), False),
        (("no-such-name.invalid", 1883), ("192.0.2.2", 1883), True),
    ],
)
def test_two_brokers_are_two_only_if_that_is_certain(one: tuple[str, int], other: tuple[str, int], same: bool) -> None:
    """By address and not by name or port; what can't be told apart counts as one, so that no match is told."""
    sections = [MqttSection(host=host, port=port) for host, port in (one, other)]
    assert may_be_one_broker(*sections) is same
