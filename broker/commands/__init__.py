"""The commands of whoever is not at home: `latchstring broker`, `agency` and `log`. They join and print."""

from broker import logs

from .agency import agency_app
from .log import log_app
from .neighbourhood import broker_app

logs.configure()  # to standard error, whatever a command imports: standard output is for answers

__all__ = ["agency_app", "broker_app", "log_app"]
