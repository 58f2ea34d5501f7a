"""Saying later that a request is resolved, or withdrawn. There is no editing and no deleting."""

from typing import Literal

from pydantic import ValidationError

from broker.wire.records import Update, explain

from .client import LogClient, Submitted
from .errors import AgencyError
from .files import write_file
from .keys import AgencyFolder


def update(
    folder: AgencyFolder,
    leaf: str,
    *,
    kind: Literal["resolved", "withdrawn"],
    note: str,
    log: LogClient,
    now_us: int,
) -> Submitted:
    """Log an update to a request of ours (leaf hash in hex); raises AgencyError or RemoteError."""
    place = folder.request_folder(leaf)
    if not place.is_dir():
        raise AgencyError(f"{place} is not there; only requests that were posted from this folder can be updated")
    try:
        said = Update(agency=folder.settings.id, request=leaf, kind=kind, note=note, at=now_us)
    except ValidationError as error:
        raise AgencyError(f"the update: {explain(error)}") from error
    envelope = said.sign(folder.signing_key())
    submitted = log.submit(envelope)
    write_file(place / f"update-{submitted.index}.dsse.json", envelope)
    write_file(place / f"update-{submitted.index}.tlog-proof", submitted.proof)
    return submitted
