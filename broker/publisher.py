"""Announces requests at a broker that is not ours, over aiomqtt. The embedded broker needs none of this."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable

import aiomqtt
import structlog

from broker.log.errors import NotPublishedError

log = structlog.get_logger()

PUBLISH_TIMEOUT_S = 10.0
KEEPALIVE_S = 20  # so soon is a broker missed that went without a word
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
SETTLED_S = 10.0  # a connection that stood for so long was no failure

# What paho raises for a broker, a name or an address that there is not.
_LOST = (aiomqtt.MqttError, OSError, ValueError)


class MqttPublisher:
    """Publishes at QoS 1 over one connection, which `run` makes and makes again for as long as it runs."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        client_id: str = "latchstring-operator",
        timeout_s: float = PUBLISH_TIMEOUT_S,
    ) -> None:
        self._make: Callable[[], aiomqtt.Client] = lambda: aiomqtt.Client(
            host,
            port,
            identifier=client_id,
            username=username,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V311,
            timeout=timeout_s,
            keepalive=KEEPALIVE_S,
            tls_context=tls,
        )
        self._where = f"{host}:{port}"
        self._timeout_s = timeout_s
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()
        self._why = "not connected yet"

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish one message and wait for its PUBACK; waits for a connection too. Raises NotPublishedError."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._connected.wait()
                if self._client is not None:
                    await self._client.publish(topic, payload, qos=1, retain=retain)
                    return
        except TimeoutError as error:
            raise self._not_published(self._why) from error
        except _LOST as error:
            raise self._not_published(str(error)) from error
        raise self._not_published(self._why)

    async def run(self, on_reconnected: Callable[[], None]) -> None:
        """Stay connected until cancelled.

        `on_reconnected` is called for every connection but the first: a broker that was away may have lost what it
        retained.
        """
        retry_s = FIRST_RETRY_S
        connections = 0
        while True:
            client = self._make()
            began_s = asyncio.get_running_loop().time()
            try:
                await client.__aenter__()
                _honour_cancellation()
                self._client = client
                self._connected.set()
                connections += 1
                if connections > 1:
                    on_reconnected()
                async for _ in client.messages:  # nothing is subscribed to: this ends with the connection
                    pass
            except _LOST as error:
                self._why = str(error)
            finally:
                self._connected.clear()
                self._client = None
                with contextlib.suppress(*_LOST):  # it is gone already; that is why we leave
                    await client.__aexit__(None, None, None)
            if asyncio.get_running_loop().time() - began_s > SETTLED_S:
                retry_s = FIRST_RETRY_S
            log.warning("mqtt_lost", broker=self._where, error=self._why, retry_s=retry_s)
            await asyncio.sleep(retry_s)
            retry_s = min(LAST_RETRY_S, 2 * retry_s)

    def _not_published(self, why: str) -> NotPublishedError:
        return NotPublishedError(f"the MQTT broker at {self._where} can't be published to: {why}")


def _honour_cancellation() -> None:
    """Raise CancelledError where aiomqtt swallowed one: before Python 3.12 `wait_for` can, if the answer came too."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
