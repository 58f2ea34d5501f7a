"""A device's links to a broker on this machine."""

from collections.abc import Callable

from device.link.links import Links, make_links, request_mailbox
from device.link.mailbox import Mailbox
from device.link.outbox import Outbox
from device.link.retained import RetainedTable
from device.link.session import Publishing
from device.link.settings import BrokerAddress, LinkTiming
from tests.link.support import PROMPT

CELL = "841f1d5ffffffff"


def address(port: int, **more: object) -> BrokerAddress:
    """Return a local broker's address for the test's device."""
    return BrokerAddress(host="127.0.0.1", port=port, client_id="porch", **more)  # type: ignore[arg-type]


def links_to(
    port: int,
    outbox: Outbox,
    *,
    retained: RetainedTable | None = None,
    requests: Mailbox | None = None,
    neighbourhood: int | None = None,
    set_privacy: Callable[[bool], None] = lambda _: None,
    timing: LinkTiming = PROMPT,
    **more: object,
) -> Links:
    """Make a device's links."""
    return make_links(
        device="porch",
        cell=CELL,
        home=address(port, **more),
        neighbourhood=None if neighbourhood is None else address(neighbourhood, **more),
        outbox=outbox,
        retained=retained or RetainedTable(),
        requests=request_mailbox() if requests is None else requests,
        set_privacy=set_privacy,
        timing=timing,
    )


def publishing(outbox: Outbox, retained: RetainedTable | None = None) -> Publishing:
    """Return what a bare link publishes."""
    return Publishing(
        availability="latchstring/porch/availability",
        online=b"online",
        offline=b"offline",
        retained=retained or RetainedTable(),
        outbox=outbox,
        topic_of=lambda leaf: f"latchstring/porch/{leaf}",
    )
