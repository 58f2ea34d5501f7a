"""`python -m broker`: the commands of operators, agencies, witnesses and verifiers, where no device is wanted."""

from cyclopts import App

from broker.terminal import run_app

app = App(name="python -m broker", help="A neighbourhood's commands.")
app.command("broker.commands.neighbourhood:broker_app", name="broker", help="Run a neighbourhood.")
app.command("broker.commands.agency:agency_app", name="agency", help="Ask in public, and open what was shared.")
app.command("broker.commands.log:log_app", name="log", help="Check the public log.")
app.command("broker.commands.witness:witness_app", name="witness", help="Vouch that a public log only grows.")
app.command("broker.commands.mirror:mirror_app", name="mirror", help="Keep and serve a copy of a public log.")


def _user_errors() -> tuple[type[Exception], ...]:
    from broker.errors import user_errors  # noqa: PLC0415 - all rooms' errors, imported only when something went wrong

    return user_errors()


if __name__ == "__main__":
    run_app(app, name="broker", user_errors=_user_errors)
