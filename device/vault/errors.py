"""The vault's errors: what a file, a disk or a passphrase did wrong, and apart from it what our own code did wrong."""


class VaultError(Exception):
    """Something kept or asked for is not as it must be; the message is one line for a person."""


class KeyFileError(VaultError):
    """A key file is missing, open to others, damaged, or no key file."""


class PassphraseError(VaultError):
    """The passphrase does not open the owner's key."""


class SealError(VaultError):
    """Bytes can't be sealed, or don't open with this key."""


class StateError(VaultError):
    """The state database can't be used."""


class StateLockedError(StateError):
    """Another process has the state open."""


class StateBusyError(StateError):
    """Another process reads or writes the database and did not let go in time; nothing of the transaction was kept."""


class StateFullError(StateError):
    """The disk has no room left for the state; nothing of the transaction was kept."""


class ClipError(VaultError):
    """A clip is not there, is damaged, or does not take what it was given."""


class RingFullError(VaultError):
    """There is no room for more footage and nothing left to evict; what is stored is untouched."""


class LedgerError(VaultError):
    """The ledger's chain does not hold."""


class MisuseError(RuntimeError):
    """Our own code broke a rule of the vault: nested transactions, say. Never the input's fault."""
