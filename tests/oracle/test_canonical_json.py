"""RFC 8785: JavaScript, by which the RFC defines it, writes what we write; and what it reads otherwise we refuse."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.wire.encoding import WireError, canonical, parse_canonical
from tests.conftest import need
from tests.wire.support import agency, request
from tests.wire.test_encoding import JSON

pytestmark = pytest.mark.node

FINITE = st.floats(allow_nan=False, allow_infinity=False)
Spell = Callable[[str], str]


@pytest.fixture(scope="module")
def javascript() -> Iterator[Spell]:
    """Returns the canonical form of a JSON text, as Node writes it."""
    script = Path(__file__).with_name("canonical.js")
    with subprocess.Popen(
        [need("node"), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        to, of = node.stdin, node.stdout

        def spell(text: str) -> str:
            to.write(text + "\n")
            to.flush()
            return str(json.loads(of.readline()))

        yield spell


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=JSON)
def test_it_writes_what_we_write(javascript: Spell, value: Any) -> None:
    """Any value in any spelling comes out of both as the same bytes."""
    ours = canonical(value).decode()
    assert javascript(json.dumps(value)) == ours
    assert (
        javascript(json.dumps(value, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
        == ours
    )
    assert javascript(ours) == ours


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=FINITE)
def test_numbers_are_written_alike(javascript: Spell, number: float) -> None:
    """Every finite double has one spelling, and it is the same."""
    assert javascript(repr(number)) == canonical(number).decode()


@pytest.mark.parametrize(
    "text",
    ["0", "-0.0", "1e21", "1e20", "1e-6", "1e-7", "5e-324", "1.7976931348623157e308", "9007199254740991",
     "333333333.3333333", "4.5", "2e-3", '"\\u20ac$\\u000f\\na\'B\\"\\\\\\"/"', '"\\u007f\\u0080\\u2028"',
     '{"\\u20ac":1,"\\r":2,"\\ufb33":3,"1":4,"\\ud83d\\ude00":5,"\\u0080":6,"\\u00f6":7}', '{"a":{},"":[]}'],
)  # fmt: skip
def test_the_hard_cases_are_written_alike(javascript: Spell, text: str) -> None:
    """Exponents, escapes and the order of keys beyond the first plane."""
    assert javascript(text) == canonical(json.loads(text)).decode()


def test_our_records_are_as_it_would_write_them(javascript: Spell) -> None:
    """A payload read and written by JavaScript keeps its bytes, and so its signature."""
    for record in (agency(), request(), request(description="Père Noël\n\U0001f6b2 自転車")):
        assert javascript(record.payload().decode()) == record.payload().decode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=JSON)
def test_another_spelling_is_refused(javascript: Spell, value: Any) -> None:
    """What JavaScript would write differently does not parse as canonical."""
    for text in (json.dumps(value), json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False)):
        one_line = text.replace("\n", " ").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        if javascript(one_line) != text:
            with pytest.raises(WireError):
                parse_canonical(text.encode(), max_bytes=100_000)
