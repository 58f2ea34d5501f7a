"""Which errors are the user's or the world's to mend: shown as one line. All others are our own faults, and look so."""

from broker.errors import user_errors as broker_errors
from device.consent.errors import ConsentError
from device.control import ControlError
from device.link.errors import LinkError
from device.settings import SettingsError
from device.vault.errors import VaultError
from device.video.errors import VideoError


class CommandError(Exception):
    """A command can't do what was asked; the message is one line for a person."""


def user_errors() -> tuple[type[Exception], ...]:
    """Return the classes whose message is meant for the user."""
    return (
        *broker_errors(),
        CommandError,
        ConsentError,
        ControlError,
        LinkError,
        SettingsError,
        VaultError,
        VideoError,
    )
