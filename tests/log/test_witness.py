"""What a witness decides: the statuses of tlog-witness, and that it never vouches for two logs under one name."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from broker.log.witness.answer import (
    CLOCK_SLACK_S,
    Head,
    Refusal,
    Submission,
    judge,
    parse_head,
    read_submission,
    signed_head,
    signing_time,
)
from broker.wire.cosigning import MAX_CONSISTENCY, AddCheckpoint
from broker.wire.encoding import WireError
from broker.wire.merkle import EMPTY_ROOT
from broker.wire.notes import Checkpoint, Note, cosign_note, parse_note, sign_note
from tests.log.mirror_support import LOG_KEY, LOGS, ORIGIN, WITNESS_KEY, Tree, witnessed
from tests.log.support import key_of

TREE = Tree().grow(300)


def head(size: int, tree: Tree = TREE) -> Head:
    found = signed_head(tree.note(size), LOGS)
    assert isinstance(found, Head)
    return found


def submitted(body: bytes) -> Submission:
    found = read_submission(body, LOGS)
    assert isinstance(found, Submission), found
    return found


def refused(body: bytes) -> int:
    found = read_submission(body, LOGS)
    assert isinstance(found, Refusal), found
    return found.status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 0\n\n",
        TREE.submission(0).replace(b"old 0", b"old 00"),
        TREE.submission(0).replace(b"old 0", b"old -1"),
        TREE.submission(0).replace(b"old 0", b"new 0"),
        TREE.submission(0)[:-1],
        TREE.submission(0) + b"\n",
        TREE.submission(0).replace(b"\n300\n", b"\n0300\n"),
        TREE.submission(7).replace(b"=\n", b"\n", 1),
        AddCheckpoint(7, (bytes(32),) * (MAX_CONSISTENCY + 1), TREE.note()).encode(),
        AddCheckpoint(301, (), TREE.note()).encode(),
        b"\xff" + TREE.submission(0),
    ],
)
def test_a_body_that_is_not_as_specified_is_a_bad_request(body: bytes) -> None:
    """What can't be read, or asks for growth backwards, is 400."""
    assert refused(body) == 400


def test_a_log_that_is_not_known_is_not_found() -> None:
    """An unknown origin is 404, whoever signed."""
    assert refused(AddCheckpoint(0, (), TREE.note(origin="log.example.org/another")).encode()) == 404


@pytest.mark.parametrize("key", [key_of("somebody else"), WITNESS_KEY])
def test_a_checkpoint_that_the_log_did_not_sign_is_forbidden(key: object) -> None:
    """No signature by a trusted key is 403: unknown keys are ignored, however many there are."""
    assert refused(AddCheckpoint(0, (), TREE.note(key=key)).encode()) == 403  # type: ignore[arg-type]


def test_a_false_signature_under_the_logs_key_is_forbidden() -> None:
    """A signature that claims to be the log's and does not verify is 403, also beside a good one."""
    good, other = parse_note(TREE.note()), parse_note(TREE.note(5))
    for lines in (other.signatures, (*good.signatures, *other.signatures)):
        assert refused(AddCheckpoint(0, (), str(Note(good.text, lines)).encode()).encode()) == 403


def test_signatures_of_others_are_ignored_and_not_kept() -> None:
    """A checkpoint may carry any other signatures; what is kept is the log's alone."""
    asked = submitted(AddCheckpoint(0, (), witnessed(TREE.note())).encode())
    assert str(asked.head.note).encode() == TREE.note()


def test_extension_lines_are_taken() -> None:
    """Lines after the root are part of what is signed; an empty one is no checkpoint."""
    text = Checkpoint(ORIGIN, 300, TREE.root()).text
    note = sign_note(text + "more\n", ORIGIN, LOG_KEY)
    asked = submitted(AddCheckpoint(0, (), str(note).encode()).encode())
    assert judge(asked, None) is None
    assert asked.head.note.text.endswith("\nmore\n")
    with pytest.raises(WireError):
        parse_head(Note(text + "\nmore\n", ()))


@pytest.mark.parametrize(("old", "latest"), [(0, 7), (6, 7), (8, 7), (7, None), (300, 7)])
def test_another_old_size_is_a_conflict_that_names_the_right_one(old: int, latest: int | None) -> None:
    """409 with the size that was cosigned last, zero if none ever was."""
    answer = judge(submitted(TREE.submission(old)), None if latest is None else head(latest))
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.size, answer.evidence) == (409, latest or 0, None)


@pytest.mark.parametrize("old", [0, 5, 7])
def test_another_root_for_the_same_size_is_a_conflict_with_evidence(old: int) -> None:
    """Two trees of one size, both signed, prove a fork, whatever old size the sender names."""
    other = Tree(salt=b"other ").grow(7)
    answer = judge(submitted(other.submission(old)), head(7))
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.size) == (409, 7)
    assert answer.evidence is not None
    assert (answer.evidence.kind, answer.evidence.first) == ("fork", head(7))


@pytest.mark.parametrize(
    "proof",
    [(), (bytes(32),), submitted(TREE.submission(6)).proof, (*submitted(TREE.submission(7)).proof, bytes(32))],
)
def test_a_proof_that_does_not_verify_is_unprocessable(proof: tuple[bytes, ...]) -> None:
    """A proof that is missing, of another tree, or too long is 422."""
    answer = judge(submitted(AddCheckpoint(7, proof, TREE.note()).encode()), head(7))
    assert isinstance(answer, Refusal)
    assert answer.status == 422


@pytest.mark.parametrize(("old", "size"), [(0, 300), (300, 300)])
def test_a_proof_where_none_is_needed_is_unprocessable(old: int, size: int) -> None:
    """From nothing, or to the same size, the proof must be empty."""
    latest = head(old) if old else None
    assert judge(submitted(TREE.submission(old, size)), latest) is None
    answer = judge(submitted(AddCheckpoint(old, (bytes(32),), TREE.note(size)).encode()), latest)
    assert isinstance(answer, Refusal)
    assert answer.status == 422


def test_an_empty_log_has_one_root() -> None:
    """A first checkpoint of no entries is taken; one with a root that no empty tree has is not."""
    empty = Tree()
    assert empty.root() == EMPTY_ROOT
    assert judge(submitted(empty.submission(0)), None) is None
    note = str(sign_note(Checkpoint(ORIGIN, 0, bytes(32)).text, ORIGIN, LOG_KEY)).encode()
    answer = judge(submitted(AddCheckpoint(0, (), note).encode()), None)
    assert isinstance(answer, Refusal)
    assert answer.status == 409


TREES = [Tree().grow(40), *(Tree().grow(40).forked(at, 40, salt=b"fork at %d " % at) for at in (0, 3, 16, 31))]


@given(at=st.integers(0, 39), size=st.integers(2, 40), old=st.integers(1, 39))
def test_a_fork_proves_itself_by_its_own_proof(at: int, size: int, old: int) -> None:
    """A log that forked and proves its growth proves the fork: both roots follow from the proof, and one was signed."""
    honest, fork = TREES[0], TREES[0].forked(at, 40)
    assume(old < size)
    answer = judge(submitted(fork.submission(old, size)), head(old, honest))
    if at >= old:
        assert answer is None
        return
    assert isinstance(answer, Refusal)
    assert answer.evidence is not None
    whole = old & (old - 1) == 0  # then the proof leaves out the old root, and tells nothing of it
    assert (answer.status, answer.evidence.kind) == (422, "unproven" if whole else "fork")
    assert bool(answer.evidence.proof) == (not whole)


@given(data=st.data(), old=st.integers(1, 39))
def test_no_proof_accuses_an_honest_log(data: st.DataObject, old: int) -> None:
    """Whatever is sent with a checkpoint of the same log, the log is not said to have forked by it."""
    size = data.draw(st.integers(old + 1, 40))
    good = submitted(TREES[0].submission(old, size)).proof
    hashes = st.sampled_from([*good, bytes(32), TREES[0].root(old), TREES[0].root(size), TREES[1].root(old)])
    proof = tuple(data.draw(st.lists(hashes, max_size=len(good) + 1)))
    answer = judge(submitted(AddCheckpoint(old, proof, TREES[0].note(size)).encode()), head(old, TREES[0]))
    assert answer is None or (answer.evidence is not None and answer.evidence.kind == "unproven")


@given(st.lists(st.tuples(st.sampled_from(TREES), st.integers(0, 40), st.integers(0, 40), st.booleans()), max_size=30))
def test_no_two_trees_that_contradict_each_other_are_vouched_for(
    asked: list[tuple[Tree, int, int, bool]],
) -> None:
    """Whatever growth, forks and rollbacks are shown in whatever order, all that is cosigned is one growing log."""
    latest: Head | None = None
    cosigned: list[tuple[Tree, Checkpoint]] = []
    for tree, old, size, knows_size in asked:
        old_size = (0 if latest is None else latest.checkpoint.size) if knows_size else old
        found = read_submission(tree.submission(old_size, size), LOGS)
        if isinstance(found, Refusal) or judge(found, latest) is not None:
            continue
        latest = found.head
        cosigned.append((tree, latest.checkpoint))
    for (_, before), (tree, after) in itertools.pairwise(cosigned):
        assert before.size <= after.size
        assert tree.contains(before)


@given(now_s=st.integers(0, 1 << 40), last_s=st.integers(0, 1 << 40))
def test_a_time_is_never_before_the_last(now_s: int, last_s: int) -> None:
    """A clock set back a little signs with the last time, one set back far does not sign."""
    at_s = signing_time(now_s, last_s)
    assert (at_s is None) == (now_s < last_s - CLOCK_SLACK_S)
    assert at_s is None or at_s >= last_s
    assert at_s is None or at_s - now_s <= CLOCK_SLACK_S


def test_what_is_vouched_for_is_the_whole_text() -> None:
    """A cosignature over another text, extension lines included, does not verify."""
    note = parse_note(TREE.note())
    signed = cosign_note(note, "w", WITNESS_KEY, at_s=5)
    assert signed.text == note.text
