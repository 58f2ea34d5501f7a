"""`latchstring owner`: the key that opens footage and approves requests."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from broker.terminal import say
from device.vault.disk import private_folder, write_secret
from device.vault.keys import create_owner

from .common import PassphraseFd, PassphraseFile, read_passphrase

KEY_FILE = "owner.key.json"
PUBLIC_FILE = "owner.pub.json"

app = App(name="owner", help="Make the key that opens your footage.")


@app.command(name="init")
def owner_init(
    *,
    out: Annotated[Path, Parameter(help="The folder for owner.key.json and owner.pub.json.")],
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
) -> None:
    """Make an owner key under a passphrase.

    owner.key.json opens your footage and approves requests: keep it, and a copy of it elsewhere. Nobody can recover it
    or the passphrase for you. owner.pub.json is what devices get.
    """
    passphrase = read_passphrase(passphrase_file, passphrase_fd, confirm=True)
    key_file, public = create_owner(passphrase)
    private_folder(out)
    write_secret(out / KEY_FILE, key_file)
    write_secret(out / PUBLIC_FILE, public.to_json())
    say(f"made {out / KEY_FILE} (keep it secret and safe) and {out / PUBLIC_FILE} (for your devices)")
