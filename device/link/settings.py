"""What a connection needs to know, frozen: addresses, limits and delays, with their units. Pure."""

import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MIN_KEEPALIVE_S = 2
MAX_PORT = 65_535


class TlsContext(ssl.SSLContext):
    """Remembers the socket that it wrapped last, so that whoever sees a handshake fail can close it."""

    wrapped: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Wrap a socket as the base class does."""
        self.wrapped = super().wrap_socket(*args, **kwargs)
        return self.wrapped


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTls:
    """PEM files of a TLS connection; without `ca` the system's authorities are trusted."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a TLS client certificate and its key are given together or not at all")

    def context(self) -> "TlsContext":
        """Load the files; raises OSError (ssl.SSLError is one) if they can't be read."""
        context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and host name; TLS 1.2 and newer
        if self.ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(self.ca)
        if self.certificate is not None and self.key is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where a broker is and as whom to speak to it."""

    host: str
    client_id: str
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: BrokerTls | None = None
    keepalive_s: int = (
        20  # a frozen broker is noticed after twice this, or after LinkTiming.ack_s with something in flight
    )

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("a broker needs a host")
        if not 0 < self.port <= MAX_PORT:
            raise ValueError(f"broker port {self.port} is not between 1 and {MAX_PORT}")
        if self.keepalive_s < MIN_KEEPALIVE_S:
            raise ValueError(f"keepalive of {self.keepalive_s} s is too short: {MIN_KEEPALIVE_S} s or more")
        if not self.client_id:
            raise ValueError("a client id is needed: with none, a broker can't tell two devices apart")
        if self.password is not None and self.username is None:
            raise ValueError("a password needs a user name (MQTT 3.1.1, section 3.1.2.9)")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Capped exponential delays with full jitter.

    Anything from 0 to the n-th step, so that a thousand devices don't return at once.
    """

    first_s: float = 1.0
    cap_s: float = 120.0

    def delay_s(self, attempt: int, *, random: Callable[[], float]) -> float:
        """Return the delay before try `attempt` (0 is the first retry); `random` gives 0 <= x < 1."""
        return random() * self.ceiling_s(attempt)

    def ceiling_s(self, attempt: int) -> float:
        """Return the longest that `delay_s` can be."""
        return float(min(self.cap_s, self.first_s * 2 ** min(attempt, 40)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTiming:
    """How long a link waits, for what. All in seconds."""

    connect_s: float = 10.0
    ack_s: float = 15.0  # a PUBACK or SUBACK that takes longer: the broker counts as gone
    stable_s: float = 10.0  # a connection that lived this long starts the backoff anew
    farewell_s: float = 2.0
    republish_spread_s: float = 2.0  # after Home Assistant's birth message, so that all devices don't answer at once
    reconnect: Backoff = Backoff()
    resend: Backoff = Backoff(first_s=10.0, cap_s=600.0)


def system_random() -> float:
    """Return 0 <= x < 1 for jitter."""
    return random.random()  # noqa: S311 - spreads retries; nothing secret
