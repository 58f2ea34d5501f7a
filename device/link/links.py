"""The daemon's links, put together: home and neighbourhood, as two connections or as one. No decisions."""

from collections.abc import Callable
from dataclasses import dataclass

from broker.wire import topics
from broker.wire.notes import MAX_NOTE_BYTES

from . import events
from .client import Incoming
from .mailbox import Mailbox
from .outbox import Outbox
from .retained import RetainedTable
from .session import MqttLink, Publishing, Subscription
from .settings import BrokerAddress, LinkTiming


def request_mailbox() -> Mailbox:
    """Return a mailbox for requests and checkpoints: some weeks of a cell's requests; a flood pushes out the oldest."""
    return Mailbox(max_topics=2_000, max_bytes=64 * 1024 * 1024)


def same_broker(one: BrokerAddress, other: BrokerAddress) -> bool:
    """Say whether two addresses are one broker by name and port, whoever logs in."""
    return (one.host.lower(), one.port) == (other.host.lower(), other.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What to run (each in a task of its own).

    With one connection for both, `home` and `neighbourhood` are the same object.
    """

    home: MqttLink
    neighbourhood: MqttLink | None

    @property
    def all(self) -> tuple[MqttLink, ...]:
        """The distinct links."""
        if self.neighbourhood is None or self.neighbourhood is self.home:
            return (self.home,)
        return (self.home, self.neighbourhood)


def make_links(
    *,
    device: str,
    cell: str,
    home: BrokerAddress,
    neighbourhood: BrokerAddress | None,
    outbox: Outbox,
    retained: RetainedTable,
    requests: Mailbox,
    set_privacy: Callable[[bool], None],
    timing: LinkTiming | None = None,
) -> Links:
    """Make the links. `set_privacy` is called on the event loop and must return at once.

    The neighbourhood link, where it is a connection of its own, publishes nothing: not even that the device is there.
    """
    publishing = Publishing(
        availability=topics.device(device, events.AVAILABILITY),
        online=events.ONLINE,
        offline=events.OFFLINE,
        retained=retained,
        outbox=outbox,
        topic_of=lambda leaf: topics.device(device, leaf),
    )
    asked = request_subscriptions(cell=cell, requests=requests)
    shared = neighbourhood == home

    def on_receipt(message: Incoming) -> None:
        home_link.receipt(*events.parse_receipt(message.payload))

    def on_privacy(message: Incoming) -> None:
        set_privacy(events.parse_switch(message.payload))

    def on_status(message: Incoming) -> None:
        if message.payload == events.ONLINE:
            home_link.republish()

    own = [
        Subscription(
            topic=topics.device(device, events.PRIVACY_SET),
            qos=1,
            max_bytes=events.MAX_SWITCH_BYTES,
            handle=on_privacy,
            skip_retained=True,
        ),
        Subscription(
            topic=topics.HOME_ASSISTANT_STATUS,
            qos=1,
            max_bytes=events.MAX_STATUS_BYTES,
            handle=on_status,
            skip_retained=True,
        ),
    ]
    if outbox.expect_receipts:
        topic = topics.device(device, events.RECEIPT)
        own.append(Subscription(topic=topic, qos=1, max_bytes=events.MAX_RECEIPT_BYTES, handle=on_receipt))
    home_link = MqttLink(
        home,
        subscriptions=(*own, *(asked if shared else ())),
        publishing=publishing,
        timing=timing,
    )
    if shared or neighbourhood is None:
        return Links(home=home_link, neighbourhood=home_link if shared else None)
    return Links(
        home=home_link,
        neighbourhood=MqttLink(neighbourhood, subscriptions=asked, publishing=None, timing=timing),
    )


def request_subscriptions(*, cell: str, requests: Mailbox) -> tuple[Subscription, ...]:
    """Return what a device asks of the neighbourhood. QoS 0; the handler stores, whatever the message says."""

    def keep(message: Incoming) -> None:
        requests.put(message.topic, message.payload)

    return (
        Subscription(topic=topics.requests_in(cell), qos=0, max_bytes=topics.MAX_ANNOUNCEMENT_BYTES, handle=keep),
        Subscription(topic=topics.CHECKPOINT, qos=0, max_bytes=MAX_NOTE_BYTES, handle=keep),
    )
