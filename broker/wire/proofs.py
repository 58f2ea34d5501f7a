"""C2SP tlog-proof and tlog-policy: that an entry is logged, and whose word for it counts. Pure.

c2sp.org/tlog-proof@v1
extra <base64, if there is any; nothing here trusts it>
index <decimal>
<base64 hash, a line each, from the leaf's sibling up>

<checkpoint, verbatim>

A policy names logs, witnesses and groups of witnesses, and the group that makes a quorum. A mirror is a witness whose
cosignature says besides that it serves all entries; here the group that is called `mirrors` holds them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
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
MAX_NAMED = 64  # logs, witnesses, groups: so many of each, twice what the specification asks for
MIRRORS = "mirrors"
WITNESSES = "witnesses"
_BOTH = "witnesses-and-mirrors"
_NOT_ALLOWED = re.compile(r"[^\t\n\x20-\x7e\x80-\U0010ffff]|[\ud800-\udfff]")
_NO_WORD = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Proof:
    """A parsed proof; nothing in it is checked yet. `checkpoint` is the signed note, verbatim."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __str__(self) -> str:
        extra = "" if self.extra is None else f"extra {to_base64(self.extra)}\n"
        hashes = "".join(f"{to_base64(one)}\n" for one in self.path)
        return f"{HEADER}\n{extra}index {self.index}\n{hashes}\n{self.checkpoint.decode()}"


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness or mirror of a policy: the name it has there, its key, and where checkpoints are sent to it."""

    name: str
    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that a policy accepts, and the newest POSIX time by which a quorum had cosigned it.

    `at_s` is None where the policy asks for no cosignature: then nothing says how old a checkpoint is.
    """

    checkpoint: Checkpoint
    at_s: int | None


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
        return self.witnessed(note_data).checkpoint

    def witnessed(self, note_data: bytes) -> Witnessed:
        """Return the checkpoint and when a quorum had seen it; raises WireError as `check` does."""
        note = parse_note(note_data, what="checkpoint")
        checkpoint = parse_checkpoint(note.text)
        if not any(key.name == checkpoint.origin and signed_by(note, key) for key in self.logs):
            raise WireError(f"checkpoint of {checkpoint.origin[:80]!r} is not signed by a log that the policy names")
        if self.quorum is None:
            return Witnessed(checkpoint, None)
        signed = {name: at_s for name, key in self.witnesses.items() if (at_s := cosigned_at(note, key)) is not None}
        at_s = self._met_since(self.quorum, signed)
        if at_s is None:
            raise WireError(f"checkpoint is cosigned by {len(signed)} known witnesses, which is no quorum")
        return Witnessed(checkpoint, at_s)

    def met_by(self, names: Iterable[str]) -> bool:
        """Tell whether these witnesses are a quorum."""
        return self.quorum is None or self._met_since(self.quorum, dict.fromkeys(names, 0)) is not None

    def needs(self, group: str) -> bool:
        """Tell whether there is no quorum without a member of a group, such as `mirrors`."""
        if self.quorum is None or (group not in self.groups and group not in self.witnesses):
            return False
        inside = self._members(group)
        return not self.met_by(name for name in self.witnesses if name not in inside)

    def _members(self, name: str) -> set[str]:
        group = self.groups.get(name)
        return {name} if group is None else {one for member in group.members for one in self._members(member)}

    def _met_since(self, name: str, signed: Mapping[str, int]) -> int | None:
        """Return the newest time at which a member or group had cosigned, None if it has not."""
        group = self.groups.get(name)
        if group is None:
            return signed.get(name)
        met = [at_s for member in group.members if (at_s := self._met_since(member, signed)) is not None]
        return sorted(met, reverse=True)[group.threshold - 1] if len(met) >= group.threshold else None


def parse_proof(data: bytes) -> Proof:
    """Parse a tlog-proof strictly."""
    if len(data) > MAX_PROOF_BYTES:
        raise WireError(f"proof has {len(data)} bytes, more than the {MAX_PROOF_BYTES} allowed")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError("proof is not UTF-8") from error
    head, blank, checkpoint = text.partition("\n\n")
    header, *lines = head.split("\n")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = from_base64(lines.pop(0).removeprefix("extra "), what="proof extra")
        if not extra:
            raise WireError("proof has an extra line without data")
    if not blank or header != HEADER or not lines or not lines[0].startswith("index "):
        raise WireError("proof does not begin with its header and an index, or has no checkpoint")
    if len(lines) - 1 > MAX_PATH:
        raise WireError("proof has more hashes than any tree is high")
    return Proof(
        index=parse_decimal(lines[0].removeprefix("index "), what="index"),
        path=tuple(from_base64(line, size=HASH_BYTES, what="proof hash") for line in lines[1:]),
        checkpoint=checkpoint.encode(),
        extra=extra,
    )


def verify_proof(entry: bytes, proof_data: bytes, policy: Policy) -> tuple[int, Checkpoint]:
    """Return (index, checkpoint) if the proof shows `entry` in a log of the policy; raises WireError else."""
    proof = parse_proof(proof_data)
    checkpoint = policy.check(proof.checkpoint)
    verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return proof.index, checkpoint


def make_policy(
    log: VerifierKey,
    *,
    url: str = "",
    witnesses: Sequence[Cosigner] = (),
    mirrors: Sequence[Cosigner] = (),
    witnesses_needed: int = 0,
    mirrors_needed: int = 0,
) -> str:
    """Return the text of a policy that trusts one log, and asks for so many of these witnesses and mirrors besides.

    Raises WireError for what does not make a policy: a name or URL of several words, say, which would make lines.
    """
    for word in (url, *(word for one in (*witnesses, *mirrors) for word in (one.name, one.url))):
        if _NO_WORD.search(word):
            raise WireError(f"{word[:60]!r} cannot stand in a policy")
    lines = [f"log {log}{f' {url}' if url else ''}"]
    lines += [f"witness {one.name} {one.key}{f' {one.url}' if one.url else ''}" for one in (*witnesses, *mirrors)]
    wanted = []
    for group, count, members in ((WITNESSES, witnesses_needed, witnesses), (MIRRORS, mirrors_needed, mirrors)):
        if count:
            lines.append(f"group {group} {count} {' '.join(one.name for one in members)}")
            wanted.append(group)
    if len(wanted) > 1:
        lines.append(f"group {_BOTH} all {' '.join(wanted)}")
    quorum = "none" if not wanted else wanted[0] if len(wanted) == 1 else _BOTH
    text = "\n".join((*lines, f"quorum {quorum}", ""))
    parse_policy(text)
    return text


def parse_policy(text: str) -> Policy:
    """Parse a tlog-policy; raises WireError naming the line."""
    if len(text) > MAX_POLICY_BYTES:
        raise WireError(f"policy has more than {MAX_POLICY_BYTES} characters")
    if _NOT_ALLOWED.search(text):
        raise WireError("policy contains control characters besides tabs and newlines")
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
        if max(len(self._logs), len(self._witnesses), len(self._groups)) > MAX_NAMED:
            raise WireError(f"more than {MAX_NAMED} logs, witnesses or groups")

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
