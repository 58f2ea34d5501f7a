"""`python -m broker`: the commands of operators, agencies and verifiers, where no device is wanted."""

import sys

from cyclopts import App

from broker.agency.errors import AgencyError
from broker.commands import agency_app, broker_app, log_app
from broker.keyfiles import KeyFileError
from broker.log.errors import LogError
from broker.mqtt.errors import BrokerError, PolicyError
from broker.settings import SettingsError
from broker.wire.encoding import WireError

app = App(name="python -m broker", help="A neighbourhood's commands.")
for one in (broker_app, agency_app, log_app):
    app.command(one)

if __name__ == "__main__":
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (AgencyError, BrokerError, KeyFileError, LogError, PolicyError, SettingsError, WireError) as error:
        sys.stderr.write(f"broker: {error}\n")
        sys.exit(1)
