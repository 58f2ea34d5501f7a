"""Which errors of this side are the user's or the world's to mend, and shown as one line. All others are our faults."""

from broker.agency.errors import AgencyError
from broker.inbox.errors import InboxError
from broker.keyfiles import KeyFileError
from broker.log.errors import LogError
from broker.mqtt.errors import BrokerError, MqttError, PolicyError
from broker.settings import SettingsError
from broker.wire.encoding import WireError


def user_errors() -> tuple[type[Exception], ...]:
    """Return the classes whose message is meant for the user."""
    return (
        AgencyError,
        BrokerError,
        InboxError,
        KeyFileError,
        LogError,
        MqttError,
        PolicyError,
        SettingsError,
        WireError,
    )
