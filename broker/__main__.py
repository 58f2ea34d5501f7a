"""`python -m broker`: the commands of operators, agencies and verifiers, where no device is wanted."""

from cyclopts import App

from broker.commands import agency_app, broker_app, log_app
from broker.errors import user_errors
from broker.terminal import run_app

app = App(name="python -m broker", help="A neighbourhood's commands.")
for one in (broker_app, agency_app, log_app):
    app.command(one)

if __name__ == "__main__":
    run_app(app, name="broker", user_errors=user_errors)
