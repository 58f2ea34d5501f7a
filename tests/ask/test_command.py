"""What the page hands out, taken at its word: the file is saved, the command lines are run by a shell."""

import contextlib
import io
import json
import re
import subprocess
import tempfile
import tomllib
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.__main__ import app as program
from broker.agency import AgencyFolder
from broker.ask.form import parse_form
from broker.ask.verdict import Verdict, judge
from broker.clock import system_now_us
from broker.errors import user_errors
from broker.terminal import run_app
from broker.wire.encoding import format_time
from broker.wire.records import INCIDENTS, Request
from broker.wire.rules import Limits
from tests.agency.support import make_folder
from tests.ask.support import FORM, a_book, encoded

HOUR_US = 3_600_000_000
LATER = {"recipient", "posted_at", "expires_at"}
# What could mean something to a shell, to TOML or to HTML, more often than chance would have it.
AWKWARD = st.sampled_from([*"'\"\\$`!*?~#&|;<>(){}[]=%-\t é日", "$(date)", "`id`", "'\"'", '"""', "\\n", "--"])
PRINTABLE = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def lines(most: int) -> st.SearchStrategy[str]:
    """Return texts of a line, as a form gives them: in normal form, and without spaces around."""
    texts = st.lists(AWKWARD | PRINTABLE, min_size=1, max_size=most).map("".join)
    cleaned = texts.map(lambda text: unicodedata.normalize("NFC", text.replace("\t", " ")).strip())
    return cleaned.filter(lambda text: 0 < len(text) <= 200)


FORMS = st.fixed_dictionaries(
    {
        "case": lines(30),
        "incident": st.sampled_from(INCIDENTS),
        "description": st.lists(lines(30), min_size=1, max_size=4).map("\r\n".join),
        "lat": st.integers(-900_000_000, 900_000_000),
        "lon": st.integers(-1_800_000_000, 1_800_000_000),
        "radius_m": st.integers(144, 642).map(str),
        "zone": st.sampled_from(["UTC", "Z", "+05:30"]),
        "ago": st.integers(2, 44 * 24),
        "minutes": st.integers(15, 60),
        "devices": st.sampled_from([["doorbell"], ["camera"], ["doorbell", "camera"]]),
        "purpose": lines(30),
        "retention_days": st.integers(1, 180).map(str),
        "sharing": st.lists(lines(20), max_size=3),
        "contact": st.sampled_from(["", "tips@northtown.example", "a.b+c@east.northtown.example"]),
        "expires_in_days": st.sampled_from(["1", "0.5", "14", "29.97", "30"]),
        "folder": lines(20).filter(
            lambda text: "/" not in text and text not in {".", ".."} and len(text.encode()) < 200
        ),
    }
)


def judged(fields: dict[str, str | list[str]]) -> Verdict:
    book = a_book()
    agencies = {one.agency.agency: one.agency for one in book.agencies()}
    return judge(
        parse_form(encoded(fields)),
        agencies,
        now_us=system_now_us(),
        limits=Limits(),
        earlier_posts=book.posts,
        open_requests=lambda _: 0,
    )


def form_of(drawn: dict[str, Any]) -> dict[str, str | list[str]]:
    """Return a form's fields; the window is a local time in its zone."""
    end_us = system_now_us() - drawn["ago"] * HOUR_US
    start_us = end_us - drawn["minutes"] * 60_000_000
    hours = {"UTC": 0.0, "Z": 0.0, "+05:30": 5.5}[drawn["zone"]]
    fields = FORM | {key: value for key, value in drawn.items() if key in FORM}
    local = {
        key: format_time(round(at_us + hours * HOUR_US))[:19] for key, at_us in (("start", start_us), ("end", end_us))
    }
    at = f"{drawn['lat'] / 1e7:.7f}, {drawn['lon'] / 1e7:.7f}"
    zone = drawn["zone"]
    times = local if zone == "UTC" else {key: f"{text}{zone}" for key, text in local.items()}
    sharing = "\r\n".join(drawn["sharing"])
    return fields | times | {"zone": "UTC", "at": at, "sharing": sharing}


def words_of(command: str, where: Path) -> list[str]:
    """Have a POSIX shell read a command line; returns the words that the program was called with."""
    before = sorted(where.iterdir())
    script = f'latchstring() {{ printf "%s\\0" "$@"; }}\n{command}\n'
    done = subprocess.run(["sh", "-eu"], input=script.encode(), capture_output=True, cwd=where, check=True, timeout=20)
    assert done.stderr == b""
    assert sorted(where.iterdir()) == before
    return [word.decode() for word in done.stdout.split(b"\0")[:-1]]


def asked(words: Sequence[str], where: Path) -> dict[str, Any]:
    """Run the program with these words in a folder; returns the request that it would post."""
    printed = io.StringIO()
    with contextlib.chdir(where), contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as caught:
        run_app(program, [*words, "--check", "--json"], name="latchstring", user_errors=user_errors)
    assert caught.value.code in {0, None}
    told = json.loads(printed.getvalue())
    assert told["kept"] is True
    request: dict[str, Any] = told["request"]
    return request


def said(request: Request | dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return what a request says, apart from what only its posting decides, and for how long it is open."""
    fields = request.model_dump(mode="json") if isinstance(request, Request) else dict(request)
    whole = Request.model_validate_json(json.dumps(fields))
    return {key: value for key, value in fields.items() if key not in LATER}, whole.expires_at - whole.posted_at


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> AgencyFolder:
    """An agency's folder, which each command line finds under another name."""
    return make_folder(tmp_path_factory.mktemp("real") / "agency")


ORDINARY: dict[str, Any] = {
    "case": "-rf $HOME; `reboot` 'x' \"y\"", "incident": "theft", "description": 'One "line"\r\n\\ another\r\n"""',
    "lat": -1, "lon": 1_800_000_000, "radius_m": "144", "zone": "+05:30", "ago": 3, "minutes": 15,
    "devices": ["camera"], "purpose": "--purpose", "retention_days": "1", "sharing": ["-", "it's"], "contact": "",
    "expires_in_days": "0.5", "folder": "-$(touch id)'",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(240)
@given(FORMS)
@example(ORDINARY)
def test_what_is_run_is_what_was_shown(agency: AgencyFolder, drawn: dict[str, Any]) -> None:
    """The saved file under its command, and the command without a file, ask exactly what the page showed."""
    verdict = judged(form_of(drawn))
    assert verdict.faults == ()
    assert verdict.handed is not None
    assert verdict.request is not None
    expected = said(verdict.request)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        (where / drawn["folder"]).symlink_to(agency.path)
        (where / verdict.handed.name).write_text(verdict.handed.toml, encoding="utf-8")
        for command in (verdict.handed.command, verdict.handed.flags):
            words = words_of(command, where)
            assert words[:2] == ["agency", "post"]
            assert said(asked(words, where)) == expected


@given(lines(60))
def test_file_names(case: str) -> None:
    """The file's name has nothing in it that a shell, a browser or a file system could trip over."""
    verdict = judged(form_of(ORDINARY | {"case": case}))
    assert verdict.handed is not None
    assert re.fullmatch(r"request(-[a-z0-9]+)*\.toml", verdict.handed.name)
    assert len(verdict.handed.name) < 60
    assert tomllib.loads(verdict.handed.toml)["case"] == case
