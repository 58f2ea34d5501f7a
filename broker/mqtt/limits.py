"""Every bound of the broker in one value, and what happens at each."""

from dataclasses import dataclass

from broker.mqtt.parser import DEFAULT_MAX_PACKET


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds, with their units; beyond each the rule on its line holds."""

    max_packet_bytes: int = DEFAULT_MAX_PACKET  # the connection is closed
    max_connect_bytes: int = 128_000  # the same, for what a client sends before it is let in
    max_connections: int = 10_000  # the new connection is closed
    connect_timeout_s: float = 10.0  # without a CONNECT by then: closed
    max_subscriptions: int = 1_000  # a session's; the filter is refused with 0x80
    max_inflight: int = 20  # unacknowledged QoS 1 messages to one client; the others wait in its queue
    max_queued_messages: int = 10_000  # a session's; the newest is dropped, so that what is kept has no gap inside
    max_queued_bytes: int = 32_000_000  # the same
    max_offline_sessions: int = 10_000  # of one user; the one that left first is forgotten
    max_retained_messages: int = 100_000  # delivered, but not retained (the operator's own process is exempt)
    max_retained_bytes: int = 256_000_000  # the same
    soft_buffer_bytes: int = 2_000_000  # unsent to one client: QoS 0 is dropped for it, QoS 1 waits in its queue
    hard_buffer_bytes: int = 8_000_000  # the client is cut off; only answers it asked for can get it there
    close_linger_s: float = 1.0  # for the last bytes to a client that is being closed; then they are thrown away

    def __post_init__(self) -> None:
        if self.hard_buffer_bytes < self.soft_buffer_bytes + self.max_packet_bytes:
            raise ValueError("hard_buffer_bytes must be soft_buffer_bytes and max_packet_bytes at the least")
        if self.max_inflight < 1 or self.max_connections < 1:
            raise ValueError("max_inflight and max_connections must be 1 at the least")
