"""C2SP tlog-proof and tlog-policy: that an entry is logged, and whose word for it counts. Pure.

c2sp.org/tlog-proof@v1
index <decimal>
<base64 hash, a line each, from the leaf's sibling up>

<checkpoint, verbatim>
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .encoding import WireError, from_base64, parse_decimal, to_base64
from .merkle import HASH_BYTES, leaf_hash, verify_inclusion
from .notes import (
    COSIGNATURE_V1,
    ED25519,
    MAX_NOTE_BYTES,
    Checkpoint,
    VerifierKey,
    cosigned_at,
    parse_checkpoint,
    parse_note,
    parse_verifier_key,
    signed_by,
)

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 8_192
MAX_POLICY_BYTES = 65_536
MAX_PATH = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """A parsed proof; nothing in it is checked yet. `checkpoint` is the signed note, verbatim."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    def __str__(self) -> str:
        hashes = "".join(f"{to_base64(one)}\n" for one in self.path)
        return f"{HEADER}\nindex {self.index}\n{hashes}\n{self.checkpoint.decode()}"


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of witnesses or groups, of which `threshold` must have cosigned."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Which logs are accepted, and which cosignatures a checkpoint needs besides. `quorum` None asks for none."""

    logs: tuple[VerifierKey, ...]
    witnesses: dict[str, VerifierKey]
    groups: dict[str, Group]
    quorum: str | None

    def check(self, note_data: bytes) -> Checkpoint:
        """Return the checkpoint in a signed note if a log and the quorum signed it; raises WireError else."""
        note = parse_note(note_data, what="checkpoint")
        checkpoint = parse_checkpoint(note.text)
        if not any(key.name == checkpoint.origin and signed_by(note, key) for key in self.logs):
            raise WireError(f"checkpoint of {checkpoint.origin[:80]!r} is not signed by a log that the policy names")
        if self.quorum is not None:
            signers = {name for name, key in self.witnesses.items() if cosigned_at(note, key) is not None}
            if not self._met(self.quorum, signers):
                raise WireError(f"checkpoint is cosigned by {len(signers)} known witnesses, which is no quorum")
        return checkpoint

    def _met(self, name: str, signers: set[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in signers
        return sum(self._met(member, signers) for member in group.members) >= group.threshold


def parse_proof(data: bytes) -> Proof:
    """Parse a tlog-proof strictly; `extra` lines are refused, since nothing here writes or reads them."""
    if len(data) > MAX_PROOF_BYTES:
        raise WireError(f"proof has {len(data)} bytes, more than the {MAX_PROOF_BYTES} allowed")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError("proof is not UTF-8") from error
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or len(lines) < 2 or lines[0] != HEADER or not lines[1].startswith("index "):  # noqa: PLR2004 - header and index
        raise WireError("proof does not begin with its header and an index, or has no checkpoint")
    if len(lines) - 2 > MAX_PATH:
        raise WireError("proof has more hashes than any tree is high")
    return Proof(
        index=parse_decimal(lines[1].removeprefix("index "), what="index"),
        path=tuple(from_base64(line, size=HASH_BYTES, what="proof hash") for line in lines[2:]),
        checkpoint=checkpoint.encode(),
    )


def verify_proof(entry: bytes, proof_data: bytes, policy: Policy) -> tuple[int, Checkpoint]:
    """Return (index, checkpoint) if the proof shows `entry` in a log of the policy; raises WireError else."""
    proof = parse_proof(proof_data)
    checkpoint = policy.check(proof.checkpoint)
    verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return proof.index, checkpoint


def make_policy(log: VerifierKey, *, url: str = "") -> str:
    """Return the text of a policy that trusts one log and asks for no witness."""
    return f"log {log}{f' {url}' if url else ''}\nquorum none\n"


def parse_policy(text: str) -> Policy:
    """Parse a tlog-policy; raises WireError naming the line."""
    if len(text) > MAX_POLICY_BYTES:
        raise WireError(f"policy has more than {MAX_POLICY_BYTES} characters")
    builder = _PolicyBuilder()
    for number, line in enumerate(text.split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            builder.take(words)
        except WireError as error:
            raise WireError(f"policy line {number}: {error}") from error
    return builder.finish()


class _PolicyBuilder:
    def __init__(self) -> None:
        self._logs: list[VerifierKey] = []
        self._witnesses: dict[str, VerifierKey] = {}
        self._groups: dict[str, Group] = {}
        self._quorum: list[str] = []
        self._used: set[str] = set()

    def take(self, words: Sequence[str]) -> None:
        match list(words):
            case ["log", key] | ["log", key, _]:
                self._logs.append(self._fresh(key, ED25519, self._logs))
            case ["witness", name, key] | ["witness", name, key, _]:
                self._witnesses[self._new_name(name)] = self._fresh(key, COSIGNATURE_V1, self._witnesses.values())
            case ["group", name, threshold, *members] if members:
                self._groups[self._new_name(name)] = self._group(threshold, members)
            case ["quorum", name]:
                if name != "none":
                    self._known(name)
                self._quorum.append(name)
            case [word, *_]:
                raise WireError(f"{word[:40]!r} line is not understood")

    def finish(self) -> Policy:
        if len(self._quorum) != 1:
            raise WireError("a policy needs exactly one quorum line")
        quorum = None if self._quorum == ["none"] else self._quorum[0]
        return Policy(tuple(self._logs), self._witnesses, self._groups, quorum)

    def _fresh(self, text: str, kind: int, others: Iterable[VerifierKey]) -> VerifierKey:
        key = parse_verifier_key(text)
        if key.kind != kind:
            raise WireError(f"key of {key.name!r} has type {key.kind:#04x} where {kind:#04x} is expected")
        if any(key.key == other.key for other in others):
            raise WireError(f"key of {key.name!r} stands twice")
        return key

    def _new_name(self, name: str) -> str:
        if name == "none" or name in self._witnesses or name in self._groups:
            raise WireError(f"name {name!r} is taken")
        return name

    def _known(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise WireError(f"name {name!r} is not defined above")

    def _group(self, threshold: str, members: Sequence[str]) -> Group:
        for member in members:
            self._known(member)
            if member in self._used:
                raise WireError(f"{member!r} is a member already")
            self._used.add(member)
        named = {"any": 1, "all": len(members)}
        count = named[threshold] if threshold in named else parse_decimal(threshold, what="threshold")
        if not 1 <= count <= len(members):
            raise WireError(f"threshold {count} is not between 1 and {len(members)}")
        return Group(count, tuple(members))
