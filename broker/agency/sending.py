"""An envelope on its way to a log: kept before it is sent, sent again as it is, let go only where the log says no."""

from pathlib import Path

from .errors import RemoteError
from .files import write_file
from .logclient import LogClient, Submitted

# What the log answers for good. Anything else, an answer that can't be believed too, leaves open whether it is logged.
FINAL = frozenset({400, 403, 404, 409, 410, 413, 415, 422})
# Refusals of an envelope that was kept too long: it is not in the log, and a new one may take its place.
OUTDATED = frozenset({"posted-late", "signature"})


def send_kept(file: Path, envelope: bytes, *, log: LogClient) -> Submitted:
    """Keep an envelope in `file`, and have it logged; raises RemoteError. Unless the log refused it, the file stays."""
    write_file(file, envelope)
    try:
        return log.submit(envelope)
    except RemoteError as error:
        if error.status in FINAL:
            file.unlink()
        raise
