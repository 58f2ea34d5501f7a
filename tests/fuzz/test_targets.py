"""Each fuzz target holds for its examples and for what becomes of them when they are cut, joined and changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

# Pieces that mean something to one parser or another.
PIECES = [
    b"\n", b"\n\n", b"\r\n", b" ", b"\0", b"=", b"==", b"+", b"-1", b"00", b"01", b"1e400", b"9" * 20, b"\xff",
    b"\xc2\xa0", b"\xed\xa0\x80", "\u2014 ".encode(), b"{", b"}", b"[", b"]", b'"', b",", b":", b'"a":1,', b"\\ud800",
    b"null", b"true", b"NaN", b"quorum none\n", b"index 0\n", b"old 0\n", b"extra AAAA\n", b"x001/", b".p/3", b"\x7f",
    b"\xff\xff\xff\xff",
]  # fmt: skip
each = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@st.composite
def changed(draw: st.DrawFn, examples: tuple[bytes, ...]) -> bytes:
    """One of the examples with a few changes of structure, of bytes or of bits."""
    data = draw(st.sampled_from(examples))
    for _ in range(draw(st.integers(1, 3))):
        at, to = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        kind = draw(st.sampled_from(["flip", "cut", "drop", "double", "insert", "replace", "lines", "splice"]))
        match kind:
            case "flip" if at < len(data):
                data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
            case "cut":
                data = data[:at]
            case "drop":
                data = data[:at] + data[min(to, at + 40) :]
            case "double":
                data = data[:to] + data[at:to][:200] + data[to:]
            case "insert":
                data = data[:at] + draw(st.sampled_from(PIECES)) + data[at:]
            case "replace":
                data = data[:at] + draw(st.sampled_from(PIECES)) + data[min(to, at + 4) :]
            case "lines":
                lines = data.split(b"\n")
                data = b"\n".join(draw(st.permutations(lines))) if len(lines) < 40 else data
            case "splice":
                data = data[:at] + draw(st.sampled_from(examples))[at:]
    return data


@each
def test_examples_hold(target: Target) -> None:
    """Each example passes as it is, and without its first or last byte; so does nothing at all."""
    for example in (b"", *target.examples):
        for data in (example, example[1:], example[:-1], example + b"\n", example * 2):
            target.run(data)


@each
@given(data=st.data())
def test_changed_examples_hold(target: Target, data: st.DataObject) -> None:
    """However an example is changed, the parser gives what is written the same way, or an error of its own."""
    target.run(data.draw(changed(target.examples)))


@each
@given(data=st.binary(max_size=400))
def test_any_bytes_hold(target: Target, data: bytes) -> None:
    """Any bytes, too."""
    target.run(data)


LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=8) | st.just("\ud800")
)
VALUES = st.recursive(
    LEAVES, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=3), one, max_size=3), max_leaves=5
)
JSON_TARGETS = [name for name, one in TARGETS.items() if one.examples[0][:1] == b"{"]


@pytest.mark.parametrize("name", JSON_TARGETS)
@given(data=st.data())
def test_values_of_other_kinds_hold(name: str, data: st.DataObject) -> None:
    """A JSON document with any value anywhere in it, or with a key that nobody knows."""
    target = TARGETS[name]
    body = json.loads(target.examples[0])
    for _ in range(data.draw(st.integers(1, 2))):
        at: object = body
        while isinstance(at, dict):
            key = data.draw(st.sampled_from([*at, "more"]))
            inner = at.get(key)
            if isinstance(inner, dict) and data.draw(st.booleans()):
                at = inner
                continue
            at[key] = data.draw(VALUES)
            break
    spelled = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=data.draw(st.booleans()))
    target.run(spelled.encode("utf-8", "surrogatepass"))
