"""`latchstring mirror`: keep and serve a copy of a public log."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from starlette.applications import Starlette

from broker.clock import system_now_us
from broker.facts import Facts
from broker.log.mirror.copied import Copy
from broker.log.mirror.mirror import POLL_S, LogMirror
from broker.log.mirror.notes import MirrorSigner
from broker.log.mirror.server import Mirror, routes
from broker.log.mirror.source import LogSource
from broker.log.mirror.store import MirrorStore
from broker.log.witness.answer import LogKeys
from broker.log.witness.identity import load_identity
from broker.log.witness.store import WitnessStore, origin_hash
from broker.settings import SettingsError
from broker.wire.proofs import parse_policy

from .cosigner import Folder, Host, Name, Neighbourhoods, Port, Url, init, log_keys, read_logs, serve

LOGS_NAME = "logs"

mirror_app = App(name="mirror", help="Keep and serve a copy of a public log.")


@mirror_app.command(name="init")
def mirror_init(*, folder: Folder, name: Name, url: Url) -> None:
    """Make a mirror: its key, and the cosigner.json that an operator invites it by."""
    init(folder, kind="mirror", name=name, url=url)


@mirror_app.command(name="run")
def mirror_run(
    *,
    folder: Folder,
    neighbourhood: Neighbourhoods,
    host: Host = "127.0.0.1",
    port: Port = None,
    poll_s: Annotated[float, Parameter(help="How often the logs are looked at, unasked.")] = POLL_S,
) -> None:
    """Copy the named logs, check and serve all of it, and cosign what is served, until interrupted.

    The copies lie in DIR/logs/ as static files that any web server can serve.
    """
    if not 1 <= poll_s <= 86_400:  # noqa: PLR2004 - a second to a day
        raise SettingsError(f"--poll-s {poll_s:g} is not between 1 and 86400")
    facts = read_logs(neighbourhood)
    identity, key = load_identity(folder, kind="mirror")
    logs, signer, store = log_keys(facts), MirrorSigner(identity.name, key), WitnessStore(folder)
    mirrors = [_follow(one, folder, signer=signer, logs=logs, store=store, poll_s=poll_s) for one in facts.values()]
    store.claim()
    try:
        for one in mirrors:
            one.open()
        mirror = Mirror(
            mirrors, own=signer.verifier, logs=logs, store=store, folder=folder / LOGS_NAME, url=identity.url
        )
        serve(
            Starlette(routes=routes(mirror)), identity, host=host, port=port, beside=[mirror.run()], copies=list(facts)
        )
    finally:
        store.release()


def _follow(
    facts: Facts, folder: Path, *, signer: MirrorSigner, logs: LogKeys, store: WitnessStore, poll_s: float
) -> LogMirror:
    source = LogSource(facts.log_url)
    files = MirrorStore(folder / LOGS_NAME / origin_hash(facts.origin))
    return LogMirror(
        origin=facts.origin,
        logs=logs,
        copy=Copy(store=files, source=source, signer=signer, now_us=system_now_us),
        source=source,
        store=store,
        own=signer.verifier,
        now_us=system_now_us,
        witnesses=list(parse_policy(facts.policy).witnesses.values()),
        poll_s=poll_s,
    )
