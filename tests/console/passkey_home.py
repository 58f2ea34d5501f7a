"""A home with passkeys for tests: an owner, a clock that a test moves, and what a page does between the calls."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.console.passkeys import Passkeys, Purpose
from device.vault.keys import OwnerKey
from device.vault.sealing import new_identity
from tests.console.authenticator import Authenticator

ORIGIN = "http://localhost:8440"
START_US = 1_770_000_000_000_000
MINUTE_US = 60_000_000
OWNER = OwnerKey(new_identity(), Ed25519PrivateKey.generate())
OTHER = OwnerKey(new_identity(), Ed25519PrivateKey.generate())


@dataclass
class Home:
    """A folder with an owner's public file, the passkeys over it, and a clock that a test moves."""

    folder: Path
    now_us: int = START_US
    passkeys: Passkeys = field(init=False)

    def __post_init__(self) -> None:
        (self.folder / "owner.pub.json").write_bytes(OWNER.public.to_json())
        self.restart()

    @property
    def path(self) -> Path:
        return self.folder / "owner.passkeys.json"

    def restart(self, origin: str = ORIGIN) -> None:
        self.passkeys = Passkeys(self.path, origin=origin, now_us=lambda: self.now_us)

    def add(self, authenticator: Authenticator, *, name: str = "Kim's key", owner: OwnerKey = OWNER) -> str:
        options, ceremony = self.passkeys.options("add")
        credential, prf = authenticator.create(options)
        return self.passkeys.add(ceremony, credential, prf, name=name, owner=owner).id

    def open(self, authenticator: Authenticator, purpose: Purpose = "unlock", binding: bytes = b"") -> OwnerKey:
        options, ceremony = self.passkeys.options(purpose, binding=binding)
        credential, prf = authenticator.get(options)
        return self.passkeys.open(ceremony, credential, prf, purpose=purpose, binding=binding)
