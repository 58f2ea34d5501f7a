"""The command line: `latchstring`. Each group of commands is imported when it is used, so that `--help` is quick."""

import sys
from collections.abc import Sequence

from cyclopts import App

app = App(
    name="latchstring",
    help="Footage stays sealed at home, and leaves only when its owner approves a public request.",
    version="0.1.0",
)
app.command("device.cli.demo:demo", name="demo", help="See the whole path run on this machine.")
app.command("device.cli.device:app", name="device", help="Set up and run a camera or doorbell.")
app.command("device.cli.owner:app", name="owner", help="Make the key that opens your footage.")
app.command("device.cli.review:app", name="review", help="See who asks, and decide.")
app.command("broker.commands:broker_app", name="broker", help="Run a neighbourhood: MQTT, log, feed, inbox.")
app.command("broker.commands:agency_app", name="agency", help="Ask in public, and open what was shared.")
app.command("broker.commands:log_app", name="log", help="Check the public log.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake ends in one line on standard error and exit status 1."""
    try:
        app(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        from .errors import user_errors  # noqa: PLC0415 - all rooms' errors, imported only when something went wrong

        if not isinstance(error, user_errors()):
            raise
        sys.stderr.write(f"latchstring: {error}\n")
        sys.exit(1)
