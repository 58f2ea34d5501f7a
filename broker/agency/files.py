"""Files in an agency's folder: written whole or not at all, readable by their user alone."""

import os
from pathlib import Path

from .errors import AgencyError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def make_folder(path: Path) -> None:
    """Make a folder with its parents, for its user's eyes alone; raises AgencyError."""
    try:
        path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise AgencyError(f"{path} cannot be made: {error.strerror}") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file durably, replacing it at once; raises AgencyError."""
    draft = path.with_name(f".{path.name}.new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise AgencyError(f"{path} cannot be written: {error.strerror}") from error


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """Read a file of at most `max_bytes`; raises AgencyError."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise AgencyError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > max_bytes:
        raise AgencyError(f"{path} has more than the {max_bytes} bytes it may have")
    return data


def sync_folder(path: Path) -> None:
    """Make the files made in, moved in or removed from a folder survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
