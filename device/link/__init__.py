"""What carries: MQTT links with a durable outbox, Home Assistant's view of the device, and the one door for bundles.

It carries and does not decide. `upload` is the only way out for anything derived from pixels; it is loaded when there
is something to carry, since most devices never do. So is `deletion`, which carries an owner's notice. `logread` asks
for files of the public log, and is loaded by those who take part in a neighbourhood.
"""

from typing import TYPE_CHECKING, Any

from .errors import (
    BrokerLost,
    LinkError,
    LogUnreadable,
    NotApproved,
    NoticeRefused,
    NoticeWaits,
    UploadInterrupted,
    UploadRefused,
)
from .events import Happening, Health
from .links import Links, make_links, request_mailbox, same_broker
from .mailbox import Mailbox
from .outbox import SCHEMA, Outbox, OutboxLimits, OutboxStats
from .reports import DeviceCard, Reporter
from .retained import RetainedTable
from .session import LinkHealth, MqttLink
from .settings import Backoff, BrokerAddress, BrokerTls, LinkTiming

if TYPE_CHECKING:
    from .deletion import tell_deletion
    from .logread import LogAddress, LogReading
    from .upload import UploadJob, UploadPatience, upload_bundle

__all__ = [
    "SCHEMA",
    "Backoff",
    "BrokerAddress",
    "BrokerLost",
    "BrokerTls",
    "DeviceCard",
    "Happening",
    "Health",
    "LinkError",
    "LinkHealth",
    "LinkTiming",
    "Links",
    "LogAddress",
    "LogReading",
    "LogUnreadable",
    "Mailbox",
    "MqttLink",
    "NotApproved",
    "NoticeRefused",
    "NoticeWaits",
    "Outbox",
    "OutboxLimits",
    "OutboxStats",
    "Reporter",
    "RetainedTable",
    "UploadInterrupted",
    "UploadJob",
    "UploadPatience",
    "UploadRefused",
    "make_links",
    "request_mailbox",
    "same_broker",
    "tell_deletion",
    "upload_bundle",
]


def __getattr__(name: str) -> Any:
    if name in {"UploadJob", "UploadPatience", "upload_bundle"}:
        from . import upload  # noqa: PLC0415 - httpx takes its time and memory

        return getattr(upload, name)
    if name == "tell_deletion":
        from . import deletion  # noqa: PLC0415 - as above

        return deletion.tell_deletion
    if name in {"LogAddress", "LogReading"}:
        from . import logread  # noqa: PLC0415 - as above

        return getattr(logread, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
