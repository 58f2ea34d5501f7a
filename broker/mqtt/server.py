"""The embedded broker in an event loop: where it listens, how it begins and ends, and what its own process may do."""

import asyncio
import contextlib
import secrets
import ssl
import time
from collections.abc import Callable
from typing import Any, Final, Self

import structlog

from broker.mqtt.access import AccessPolicy, is_loopback
from broker.mqtt.connections import ClientProtocol, Gate
from broker.mqtt.core import BrokerCore, Counters
from broker.mqtt.errors import BrokerError
from broker.mqtt.limits import Limits
from broker.mqtt.packets import Publish
from broker.mqtt.topics import check_topic

log = structlog.get_logger()

_TICK_S: Final = 0.25


class Broker:
    """An MQTT 3.1.1 broker in this event loop, running inside `async with`; `port` 0 takes a free one.

    With a `tls` context that verifies client certificates, a client's common name is its user name. Raises BrokerError
    when an open policy is to listen beyond loopback, or the address is taken.
    """

    def __init__(
        self,
        *,
        policy: AccessPolicy,
        host: str = "127.0.0.1",
        port: int = 1883,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_reach(policy, host)
        self.host = host
        self._port = port
        self._tls = tls
        self._limits = limits or Limits()
        self._core = BrokerCore(limits=self._limits, make_client_id=lambda: f"auto-{secrets.token_hex(8)}")
        self._gate = Gate(policy=policy, core=self._core, limits=self._limits, clock=clock)
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port listened on; raises BrokerError outside `async with`."""
        if self._server is None:
            raise BrokerError("the broker is not running")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def counters(self) -> Counters:
        """What was received, denied and dropped so far."""
        return self._core.counters

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish from this process, past the policy; raises MqttError for a topic that can't be published to."""
        self._core.publish(Publish(check_topic(topic), payload, qos=qos, retain=retain))

    def replace_policy(self, policy: AccessPolicy) -> None:
        """Go on under another policy; who is gone from it, or has another role, is put out. Raises BrokerError."""
        _check_reach(policy, self.host)
        self._gate.policy = policy
        self._core.reauthorize(policy.identity_of)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        tls_only: dict[str, Any] = {}
        if self._tls is not None:
            tls_only = {
                "ssl": self._tls,
                "ssl_handshake_timeout": self._limits.connect_timeout_s,
                "ssl_shutdown_timeout": self._limits.close_linger_s,
            }
        try:
            self._server = await loop.create_server(
                lambda: ClientProtocol(self._gate), self.host, self._port, backlog=1024, **tls_only
            )
        except OSError as error:
            raise BrokerError(f"can't listen on {self.host}:{self._port}: {error.strerror or error}") from error
        self.publish("$SYS/broker/version", b"latchstring", retain=True)
        self._ticking = asyncio.create_task(self._tick(), name="mqtt-tick")
        log.info("mqtt_listening", host=self.host, port=self.port, tls=self._tls is not None)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is None or self._ticking is None:
            return
        self._server.close()
        self._ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking
        self._core.shut_down()
        await self._gate.closed(within_s=self._limits.close_linger_s)
        await self._server.wait_closed()
        self._server = None
        log.info("mqtt_stopped")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._core.tick(now_s=self._clock())


def _check_reach(policy: AccessPolicy, host: str) -> None:
    if policy.is_open and not is_loopback(host):
        raise BrokerError(f"an open policy may not listen on {host}; use 127.0.0.1, or a policy with users")
