"""What a device's owner pinned in its folder: whose word counts for what the public log is, and to whom it seals."""

from pathlib import Path

from broker.wire.encoding import WireError
from broker.wire.proofs import MIRRORS, Policy, parse_policy
from device.settings import NeighbourhoodSection, SettingsError
from device.vault.errors import VaultError
from device.vault.keys import OwnerPublic


def log_policy(home: Path, section: NeighbourhoodSection) -> Policy:
    """Return the policy of one log, which has to need a mirror unless the owner said otherwise.

    Raises SettingsError.
    """
    path = home / section.policy_file
    policy = pinned_policy(path)
    if len(policy.logs) != 1:
        raise SettingsError(f"{path} names {len(policy.logs)} logs; a device reads one")
    if not policy.needs(MIRRORS) and not section.unwitnessed:
        raise SettingsError(
            f"{path} asks for no mirror, so that nobody but the operator vouches for what is asked in public;"
            " unwitnessed = true in [neighbourhood] puts up with that"
        )
    return policy


def pinned_policy(path: Path) -> Policy:
    """Read the tlog-policy that says which log counts; raises SettingsError."""
    try:
        return parse_policy(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}; it holds the log's pinned key") from error
    except (WireError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def owner_public(path: Path) -> OwnerPublic:
    """Read the owner's public key file; raises SettingsError."""
    try:
        return OwnerPublic.from_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"{path} can't be read: {error.strerror}; 'latchstring owner init' makes an owner's public key file"
        ) from error
    except VaultError as error:
        raise SettingsError(f"{path}: {error}") from error
