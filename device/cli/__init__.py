"""The command line: `latchstring`. Each group of commands is imported when it is used, so that `--help` is quick."""

from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App

from broker.terminal import run_app

app = App(
    name="latchstring",
    help="Footage stays sealed at home, and leaves only when its owner approves a public request.",
    version=lambda: version("latchstring"),
)
app.command("device.cli.console:console", name="console", help="Open your page: who asks, what they'd get, and decide.")
app.command("device.cli.demo:demo", name="demo", help="See the whole path run on this machine.")
app.command("device.cli.device:app", name="device", help="Set up and run a camera or doorbell.")
app.command("device.cli.owner:app", name="owner", help="Make the key that opens your footage.")
app.command("device.cli.review:app", name="review", help="See who asks, and decide.")
app.command("device.cli.scene:app", name="scene", help="Draw films to test detectors with, and tell what is in them.")
app.command("device.cli.video:app", name="video", help="See what motion sees in a film, and why; to tune it by.")
app.command("broker.commands.neighbourhood:broker_app", name="broker", help="Run a neighbourhood: MQTT, log, feed.")
app.command("broker.commands.agency:agency_app", name="agency", help="Ask in public, and open what was shared.")
app.command("broker.commands.log:log_app", name="log", help="Check the public log.")
app.command("broker.commands.witness:witness_app", name="witness", help="Vouch that a public log only grows.")
app.command("broker.commands.mirror:mirror_app", name="mirror", help="Keep and serve a copy of a public log.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake ends in one line on standard error and exit status 1."""
    run_app(app, arguments, name="latchstring", user_errors=_user_errors)


def _user_errors() -> tuple[type[Exception], ...]:
    from .errors import user_errors  # noqa: PLC0415 - all rooms' errors, imported only when something went wrong

    return user_errors()
