"""`latchstring agency`: ask in public, fetch what was shared, open and check it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker.agency import (
    AgencyError,
    AgencyFolder,
    Fetched,
    FetchError,
    InboxClient,
    OpenedBundle,
    application,
    fetch,
    fetch_notices,
    fetch_policy,
    init,
    notice_about,
    open_bundle,
)
from broker.agency.deletions import notices
from broker.agency.keys import APPLICATION_FILE
from broker.clock import system_now_us
from broker.facts import read_facts
from broker.terminal import AsJson, say, say_json, working
from broker.wire.encoding import format_time

from .agencycommon import Folder, Leaf, asked_text, load, say_aside, whole
from .agencykeep import agency_list, agency_update, agency_withdraw
from .agencypost import agency_post
from .agencystanding import agency_rotate, agency_status

agency_app = App(name="agency", help="An agency's tools: ask in public, fetch what was shared, open and check it.")
for _name, _command in (
    ("post", agency_post),
    ("update", agency_update),
    ("withdraw", agency_withdraw),
    ("list", agency_list),
    ("status", agency_status),
    ("rotate", agency_rotate),
):
    agency_app.command(_command, name=_name)


@agency_app.command(name="init")
def agency_init(
    *,
    folder: Folder,
    agency: Annotated[str, Parameter(name="--id", help="A short name: a-z, 0-9 and -.")],
    name: Annotated[str, Parameter(help="The full name, as the public knows it.")],
    domain: Annotated[str, Parameter(help="The official domain.")],
    contact: Annotated[str, Parameter(help="An address in that domain.")],
    neighbourhood: Annotated[
        Path | None, Parameter(help="The operator's neighbourhood.json: URLs and the log's key.")
    ] = None,
    url: Annotated[
        str | None, Parameter(help="Instead: the neighbourhood's address; its key is trusted on first use.")
    ] = None,
) -> None:
    """Make an agency's folder with new keys, and print the application that the operator needs to admit it."""
    if (neighbourhood is None) == (url is None):
        raise AgencyError("give either --neighbourhood FILE or --url URL")
    if neighbourhood is not None:
        facts = read_facts(neighbourhood)
        log_url, inbox_url, policy = facts.log_url, facts.inbox_url, facts.policy
        operator_key: str | None = facts.operator_key
    else:
        base = (url or "").rstrip("/")
        log_url, inbox_url, policy = f"{base}/log", f"{base}/inbox", fetch_policy(f"{base}/log")
        operator_key = None
    made = init(
        folder,
        agency=agency,
        name=name,
        domain=domain,
        contact=contact,
        log_url=log_url,
        inbox_url=inbox_url,
        policy=policy,
        now_us=system_now_us(),
        operator_key=operator_key,
    )
    say_aside(f"give the operator this application; it is kept in {made.path / APPLICATION_FILE}")
    say_json(application(made))


@agency_app.command(name="fetch")
def agency_fetch(leaf: Leaf, *, folder: Folder, as_json: AsJson = False) -> None:
    """Fetch every bundle that owners shared for a request, and their notices that ask for deletion.

    An interrupted fetch goes on where it was.
    """
    place = load(folder)
    inbox = InboxClient(
        place.settings.inbox_url, agency=place.settings.id, key=place.signing_key(), clock=system_now_us
    )
    request = whole(place, leaf)
    try:
        with working("fetching", as_json=as_json):
            fetch_notices(place, request, inbox=inbox)  # first: an owner's wish is not to wait for a bundle
            bundles = fetch(place, request, inbox=inbox)
    except FetchError as error:
        _show_fetched(place, request, error.fetched, as_json=as_json)
        raise
    _show_fetched(place, request, bundles, as_json=as_json)


@agency_app.command(name="open")
def agency_open(
    bundle: Annotated[Path, Parameter(help="A sealed bundle (.age) that 'latchstring agency fetch' brought.")],
    *,
    folder: Folder,
    out: Annotated[Path, Parameter(help="A new folder for the files.")],
    request: Annotated[str | None, Parameter(help="The request's leaf hash, if the file was moved.")] = None,
    as_json: AsJson = False,
) -> None:
    """Open a bundle and check everything in it: the request, the log's proof, the seals of capture, each file."""
    place = AgencyFolder.load(folder)
    if not bundle.exists():
        raise AgencyError(f"{bundle}: no such file; 'latchstring agency fetch' brings bundles")
    place_of = bundle.resolve().parent.parent
    if request is None and place_of.parent != (folder / "requests").resolve():
        raise AgencyError(f"{bundle} does not lie where it was fetched to; say whose it is: --request HASH")
    leaf = request or place_of.name
    asked = notice_about(bundle)
    if asked is not None:
        say_aside(asked_text(asked))
    with working("opening and checking", as_json=as_json):
        opened = open_bundle(bundle, place.identity(), out, request_leaf=whole(place, leaf), policy=place.policy())
    if as_json:
        say_json(_opened(opened) | {"deletion_asked_at": None if asked is None else format_time(asked.at)})
    else:
        _show_opened(opened)
    if not opened.verified:
        raise AgencyError(f"{bundle} was opened into {out}, but not all of it could be verified")


def _show_fetched(place: AgencyFolder, leaf: str, bundles: Sequence[Fetched], *, as_json: bool) -> None:
    asked = notices(place, leaf)
    for sha256, notice in asked.items():
        here = place.request_folder(leaf) / "bundles" / f"{sha256}.age"
        say_aside(f"{asked_text(notice)} {f'Delete {here}' if here.exists() else 'It is not in this folder'}")
    if as_json:
        say_json(
            [
                {**asdict(bundle), "path": str(bundle.path), "deletion_asked": bundle.sha256 in asked}
                for bundle in bundles
            ]
        )
    else:
        say(*(f"{bundle.path}  {bundle.bytes:,} bytes{'  (new)' if bundle.is_new else ''}" for bundle in bundles))
        say(f"{len(bundles)} bundle{'' if len(bundles) == 1 else 's'} for this request")


def _opened(opened: OpenedBundle) -> dict[str, Any]:
    return {
        "verified": opened.verified,
        "folder": str(opened.folder),
        "sha256": opened.sha256,
        "device": None if opened.release is None else opened.release.device,
        "files": [asdict(file) for file in opened.files],
        "clips": [
            {**asdict(clip), "start": format_time(clip.start_us), "end": format_time(clip.end_us)}
            for clip in opened.clips
        ],
        "rings": [format_time(at_us) for at_us in opened.rings],
    }


def _show_opened(opened: OpenedBundle) -> None:
    table = Table("file", "bytes", "verified", "what was found")
    for file in opened.files:
        table.add_row(file.name, f"{file.bytes:,}", "yes" if file.verified else "[red]no[/red]", escape(file.note))
    console = Console()
    console.print(table)
    for clip in opened.clips:
        console.print(f"{clip.file}: {clip.seal}, {format_time(clip.start_us)} to {format_time(clip.end_us)}")
    for at_us in opened.rings:
        console.print(f"the bell rang at {format_time(at_us)}")
    console.print(f"opened into {opened.folder}")
