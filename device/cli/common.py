"""What the owner's commands share: the home folder's flag and passphrases."""

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from device.vault.disk import read_secret

from .errors import CommandError

MAX_PASSPHRASE_BYTES = 1_024

Home = Annotated[Path, Parameter(name="--home", help="The device's folder.")]
Leaf = Annotated[str, Parameter(name="request", help="The request, by its first six digits or more.")]
PassphraseFile = Annotated[
    Path | None,
    Parameter(name="--passphrase-file", help="Read the passphrase from the first line of this file (0600)."),
]
PassphraseFd = Annotated[
    int | None, Parameter(name="--passphrase-fd", help="Read the passphrase from this open file descriptor.")
]


def read_passphrase(file: Path | None, fd: int | None, *, confirm: bool = False) -> str:
    """Return the passphrase from a file, a descriptor or a prompt; never from an argument. Raises CommandError."""
    if file is not None and fd is not None:
        raise CommandError("give --passphrase-file or --passphrase-fd, not both")
    if file is not None:
        return _first_line(read_secret(file), str(file))
    if fd is not None:
        try:
            return _first_line(os.read(fd, MAX_PASSPHRASE_BYTES), f"descriptor {fd}")
        except (OSError, OverflowError) as error:
            raise CommandError(f"descriptor {fd} can't be read: {error}") from error
    if not sys.stdin.isatty():
        raise CommandError("no terminal to ask for the passphrase; use --passphrase-file or --passphrase-fd")
    passphrase = getpass.getpass("Passphrase: ")
    if confirm and getpass.getpass("Again: ") != passphrase:
        raise CommandError("the two passphrases differ; nothing was made")
    return passphrase


def _first_line(data: bytes, where: str) -> str:
    try:
        line = data[:MAX_PASSPHRASE_BYTES].decode("utf-8").partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise CommandError(f"the passphrase in {where} is not UTF-8") from error
    if not line:
        raise CommandError(f"{where} holds no passphrase in its first line")
    return line
