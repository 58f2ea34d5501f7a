"""A new signing key: made beside the old one, applied for, and taken into use once the log admits it.

1. `next.key` is made; the old `agency.key` signs on, since the log takes nothing else yet.
2. The operator logs a record with the new key. From that entry on, the log takes nothing under the old one.
3. Whoever uses the folder next sees that in the log, and the files change places: the old key is linked to
   `retired-<its first 16 hex digits>.key`, and `next.key` replaces `agency.key` at once. A cut leaves one step to do.
"""

import os

from broker.files import sync_folder
from broker.keyfiles import KeyFileError, create_signing_key, load_signing_key
from broker.wire.envelopes import public_bytes

from .errors import AgencyError
from .keys import KEY_FILE, AgencyFolder
from .standing import Standing

NEXT_KEY_FILE = "next.key"


def is_rotating(folder: AgencyFolder) -> bool:
    """Tell whether a new key waits to be admitted."""
    return (folder.path / NEXT_KEY_FILE).exists()


def next_public_key(folder: AgencyFolder) -> bytes:
    """Return the new key's public half, making the key if there is none yet; raises AgencyError."""
    file = folder.path / NEXT_KEY_FILE
    try:
        return public_bytes(load_signing_key(file) if file.exists() else create_signing_key(file))
    except KeyFileError as error:
        raise AgencyError(str(error)) from error


def settle(folder: AgencyFolder, standing: Standing) -> bool:
    """Take the new key into use if the log admits it; returns whether it did. Raises AgencyError."""
    if not is_rotating(folder):
        return False
    admitted = standing.in_force
    if admitted is None or admitted.key != next_public_key(folder):
        return False
    old = folder.path / KEY_FILE
    retired = folder.path / f"retired-{public_bytes(folder.signing_key()).hex()[:16]}.key"
    try:
        if not retired.exists():
            os.link(old, retired)
            sync_folder(folder.path)
        (folder.path / NEXT_KEY_FILE).replace(old)
        sync_folder(folder.path)
    except OSError as error:
        raise AgencyError(f"{old} can't change places with {NEXT_KEY_FILE}: {error.strerror}") from error
    return True
