"""Files in an agency's folder: written whole or not at all, readable by their user alone; errors are AgencyError."""

from pathlib import Path

from broker import files

from .errors import AgencyError


def make_folder(path: Path) -> None:
    """Make a folder with its parents, for its user's eyes alone; raises AgencyError."""
    try:
        files.make_folder(path)
    except OSError as error:
        raise AgencyError(f"{path} can't be made: {error.strerror}") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file durably, replacing it at once; raises AgencyError."""
    try:
        files.replace_durably(path, data)
    except OSError as error:
        raise AgencyError(f"{path} can't be written: {error.strerror}") from error


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """Read a file of at most `max_bytes`; raises AgencyError."""
    return files.read_bytes(path, max_bytes=max_bytes, error=AgencyError)


def read_text(path: Path, *, max_bytes: int) -> str:
    """Read a file of at most `max_bytes` of UTF-8; raises AgencyError."""
    return files.read_text(path, max_bytes=max_bytes, error=AgencyError)


def write_page(path: Path, text: str) -> None:
    """Write a page for a browser, replacing it at once; raises AgencyError."""
    try:
        files.replace_durably(path, text.encode(), mode=files.PUBLIC_FILE)
    except OSError as error:
        raise AgencyError(f"{path} can't be written: {error.strerror}; choose another --preview") from error
