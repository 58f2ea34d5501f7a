"""What the MQTT broker raises: a peer that broke the protocol, a client that was refused, a policy that can't stand."""


class MqttError(Exception):
    """The peer sent what MQTT 3.1.1 forbids, or what this broker does not serve; its connection must be closed.

    `return_code` is the CONNACK code that section 3.2.2.3 wants sent before closing, where there is one.
    """

    def __init__(self, reason: str, *, return_code: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.return_code = return_code


class Refused(Exception):  # noqa: N818 - a refusal is an answer, and reads as one where it is raised
    """The client may not connect; `return_code` is what the CONNACK says, `reason` is for the broker's own log."""

    def __init__(self, return_code: int, reason: str) -> None:
        super().__init__(reason)
        self.return_code = return_code
        self.reason = reason


class PolicyError(ValueError):
    """An access policy, or its text, that can't be used; the message is one line saying what is wrong and where."""


class BrokerError(RuntimeError):
    """The broker was asked for what it may not or can't do, such as an open policy on a public address."""
