"""`latchstring witness`: vouch that a public log only grows."""

from cyclopts import App
from starlette.applications import Starlette

from broker.clock import system_now_us
from broker.log.witness.identity import load_identity
from broker.log.witness.server import routes
from broker.log.witness.service import Witness
from broker.log.witness.store import WitnessStore

from .cosigner import Folder, Host, Name, Neighbourhoods, Port, Url, init, log_keys, read_logs, serve

witness_app = App(name="witness", help="Vouch that a public log only grows.")


@witness_app.command(name="init")
def witness_init(*, folder: Folder, name: Name, url: Url) -> None:
    """Make a witness: its key, and the cosigner.json that an operator invites it by."""
    init(folder, kind="witness", name=name, url=url)


@witness_app.command(name="run")
def witness_run(*, folder: Folder, neighbourhood: Neighbourhoods, host: Host = "127.0.0.1", port: Port = None) -> None:
    """Cosign the checkpoints of the named logs until interrupted, and keep evidence of those that fork."""
    facts = read_logs(neighbourhood)
    identity, key = load_identity(folder, kind="witness")
    witness = Witness(
        name=identity.name,
        key=key,
        logs=log_keys(facts),
        store=WitnessStore(folder),
        now_us=system_now_us,
    )
    witness.open()
    try:
        serve(Starlette(routes=routes(witness)), identity, host=host, port=port)
    finally:
        witness.close()
