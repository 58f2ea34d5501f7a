"""The log's texts: notes, checkpoints, keys, proofs, policies, and what is asked of witnesses."""

import contextlib

from broker.log.witness.answer import Refusal, judge, read_submission
from broker.wire.cosigning import AddCheckpoint, add_lines, parse_add_checkpoint
from broker.wire.encoding import WireError
from broker.wire.merkle import consistency_proof, inclusion_proof
from broker.wire.notes import parse_checkpoint, parse_note, parse_verifier_key, signed_by
from broker.wire.proofs import Cosigner, Proof, make_policy, parse_policy, parse_proof, verify_proof
from broker.wire.tiles import decode_entries, encode_entries, parse_tile_path
from tests.fuzz.target import Target, same
from tests.oracle.support import (
    LOG_KEY,
    MIRROR_KEY,
    ORIGIN,
    WITNESS_KEY,
    Leaves,
    checkpoint_of,
    cosigned,
    entries_of,
)

SIZE = 13
ENTRIES = entries_of(SIZE)
TREE = Leaves(ENTRIES)
NOTE = checkpoint_of(ENTRIES)
COSIGNED = cosigned(NOTE)
POLICY_TEXT = make_policy(
    LOG_KEY,
    url="https://log.example.org",
    witnesses=[Cosigner("w", WITNESS_KEY)],
    mirrors=[Cosigner("m", MIRROR_KEY, "https://m.example.org")],
    witnesses_needed=1,
    mirrors_needed=1,
)
POLICY = parse_policy(POLICY_TEXT)
ENTRY = ENTRIES[5]
PROOF = Proof(5, tuple(inclusion_proof(5, SIZE, TREE)), str(COSIGNED).encode())
ASKED = AddCheckpoint(7, tuple(consistency_proof(7, SIZE, TREE)), str(NOTE).encode())
LINES = str(COSIGNED).removeprefix(str(NOTE)).encode()
LOGS = {ORIGIN: (LOG_KEY,)}


def note(data: bytes) -> None:
    """A note writes itself again, and the log's key signed nothing but its checkpoint."""
    with contextlib.suppress(WireError):
        found = parse_note(data)
        same(data, str(found).encode())
        if signed_by(found, LOG_KEY):
            same(NOTE.text, found.text)


def checkpoint(data: bytes) -> None:
    """A checkpoint writes itself again."""
    with contextlib.suppress(WireError, UnicodeDecodeError):
        text = data.decode()
        same(text, parse_checkpoint(text).text)


def verifier_key(data: bytes) -> None:
    """A key writes itself again, also from text that is no UTF-8."""
    with contextlib.suppress(WireError):
        text = data.decode("utf-8", "surrogateescape")
        same(text, str(parse_verifier_key(text)))


def proof(data: bytes) -> None:
    """A proof writes itself again, and proves its one entry at its one place."""
    with contextlib.suppress(WireError):
        same(data, str(parse_proof(data)).encode())
        index, head = verify_proof(ENTRY, data, POLICY)
        assert (index, head.text) == (5, NOTE.text)


def policy(data: bytes) -> None:
    """A policy can be asked; all its witnesses meet it, and no checkpoint passes that lacks the log's signature."""
    with contextlib.suppress(WireError):
        found = parse_policy(data.decode("utf-8", "surrogateescape"))
        assert found.met_by(found.witnesses)
        assert not found.needs("nobody")
        for name in [*found.groups, *found.witnesses][:8]:
            found.needs(name)
        with contextlib.suppress(WireError):
            assert found.check(str(COSIGNED).encode()).origin in {key.name for key in found.logs}


def asked_of_witness(data: bytes) -> None:
    """A body writes itself again, and is answered: what is cosigned is the log's own checkpoint, grown from the old."""
    with contextlib.suppress(WireError):
        same(data, parse_add_checkpoint(data).encode())
    found = read_submission(data, LOGS)
    if isinstance(found, Refusal):
        assert found.status in {400, 403, 404}
        return
    same(NOTE.text, found.head.note.text)
    assert (judge(found, None) is None) == (found.old_size == 0 and not found.proof)


def answered_by_witness(data: bytes) -> None:
    """Whatever a witness answers, the log's text stays as it was."""
    with contextlib.suppress(WireError):
        same(NOTE.text, add_lines(str(NOTE).encode(), data).text)


def tile_path(data: bytes) -> None:
    """A path names a tile whose path it is."""
    with contextlib.suppress(WireError, UnicodeDecodeError):
        text = data.decode()
        same(text, parse_tile_path(text).path)


def bundle(data: bytes) -> None:
    """Entries, as many as the first byte says and one more, write themselves again."""
    if data:
        with contextlib.suppress(WireError):
            same(data[1:], encode_entries(decode_entries(data[1:], width=data[0] + 1)))


def _extra(proof: Proof) -> bytes:
    return str(Proof(proof.index, proof.path, proof.checkpoint, b"more")).encode()


TARGETS = (
    Target("note", note, (str(NOTE).encode(), str(COSIGNED).encode(), b"a\n\nb\n\n" + LINES)),
    Target("checkpoint", checkpoint, (NOTE.text.encode(), NOTE.text.encode() + b"more\n")),
    Target("key", verifier_key, (str(LOG_KEY).encode(), str(WITNESS_KEY).encode())),
    Target("proof", proof, (str(PROOF).encode(), _extra(PROOF))),
    Target("policy", policy, (POLICY_TEXT.encode(), f"#x\n\tlog {LOG_KEY} u\nquorum none".encode())),
    Target("witness", asked_of_witness, (ASKED.encode(), AddCheckpoint(0, (), str(COSIGNED).encode()).encode())),
    Target("cosignatures", answered_by_witness, (LINES, LINES[: len(LINES) // 2] + b"\n\n" + LINES)),
    Target("path", tile_path, (b"tile/0/x001/x234/067.p/3", b"tile/entries/000", b"tile/63/999")),
    Target("bundle", bundle, (b"\x02" + encode_entries([b"", b"ab", b"c"]), b"\0" + encode_entries([b"x"]))),
)
