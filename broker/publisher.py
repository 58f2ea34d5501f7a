"""Announces requests at a broker that is not ours, over aiomqtt. The embedded broker needs none of this."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiomqtt

from broker.log.errors import NotPublishedError

PUBLISH_TIMEOUT_S = 10.0


class MqttPublisher:
    """Publishes at QoS 1 over one connection. Raises NotPublishedError, after which the next call connects anew."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        username: str | None = None,
        password: str | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
        client_id: str = "latchstring-operator",
    ) -> None:
        self._make: Callable[[], aiomqtt.Client] = lambda: aiomqtt.Client(
            host,
            port,
            identifier=client_id,
            username=username,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V311,
            timeout=PUBLISH_TIMEOUT_S,
            tls_context=None if tls is None else tls(),
        )
        self._where = f"{host}:{port}"
        self._client: aiomqtt.Client | None = None
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish one message and wait for its PUBACK."""
        async with self._one_at_a_time:
            try:
                if self._client is None:
                    client = self._make()
                    await client.__aenter__()
                    self._client = client
                await self._client.publish(topic, payload, qos=1, retain=retain)
            except (aiomqtt.MqttError, OSError) as error:
                await self._leave()
                raise NotPublishedError(f"the MQTT broker at {self._where} can't be published to: {error}") from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(aiomqtt.MqttError, OSError):  # it is gone already; that is why we leave
                await client.__aexit__(None, None, None)
