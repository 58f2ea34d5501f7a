"""`latchstring agency` as it is typed, without a neighbourhood: what is shown, asked and refused before it is sent."""

import json
import os
import pty
import select
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from broker.__main__ import app
from broker.agency import AgencyFolder, RequestDraft
from broker.agency.mistakes import HINTS
from broker.agency.request_file import FRIENDLY_KEYS
from broker.clock import system_now_us
from broker.commands.agencypost import RequestFlags
from broker.errors import user_errors
from broker.terminal import run_app
from broker.wire.encoding import format_time
from broker.wire.merkle import leaf_hash
from tests.agency.support import make_request

HOUR_US = 3_600_000_000
VALUES = {
    "--case": "26-0001", "--incident": "theft", "--description": "A bicycle.", "--at": "52.52N 13.405E",
    "--radius-m": "250", "--window": "2h", "--purpose": "Find it", "--retention-days": "30",
}  # fmt: skip


def run(*arguments: object) -> None:
    run_app(app, ["agency", *(str(one) for one in arguments)], name="broker", user_errors=user_errors)


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    out, err = capsys.readouterr()
    assert caught.value.code in {0, None}, err
    return out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, list[str]]:
    """Return what was printed, and the lines of the error."""
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    return out, err.splitlines()


def flags(*, hours_ago: float = 1.0, **others: str | None) -> list[str]:
    """Return the flags of a request that keeps every rule, some of them changed, or left out by None."""
    end = {"--end": format_time(system_now_us() - round(hours_ago * HOUR_US))}
    more = {f"--{name.replace('_', '-')}": value for name, value in others.items()}
    return [word for flag, value in (VALUES | end | more).items() if value is not None for word in (flag, value)]


def test_every_value_has_a_flag_with_help() -> None:
    """Each key of a request file can be given as a flag, says what it is, and has a hint where it is wrong."""
    keys = {*RequestDraft.model_fields, *FRIENDLY_KEYS}
    assert {field.name for field in fields(RequestFlags)} == keys == set(HINTS)
    for field in fields(RequestFlags):
        assert field.type.__metadata__[0].help, field.name  # type: ignore[union-attr]


def test_checked_from_flags_alone(folder: AgencyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file and without a network: what the public will read, and every rule with its limit."""
    printed = shown(capsys, "post", "--dir", folder.path, *flags(), "--check")
    for part in ("Theft", "A bicycle.", "(2 hours)", "250 m of 52.52000° N, 13.40500° E", "posts-per-case", "kept"):
        assert part in printed
    assert "broken" not in printed
    assert not (folder.path / "requests").exists()


def test_negative_values(folder: AgencyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """South and west may be written as numbers too."""
    given = ("post", "--dir", folder.path, *flags(at=None), "--lat", "-33.9", "--lon=-70.5", "--check", "--json")
    area = json.loads(shown(capsys, *given))["request"]["area"]
    assert (area["lat_e7"], area["lon_e7"]) == (-339_000_000, -705_000_000)


def test_every_broken_rule_is_told(folder: AgencyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, a line each with the rule's name, and not the first alone; nothing is kept."""
    given = flags(radius_m="5000", retention_days="400", incident="parade", hours_ago=-1, expires_in_days="60")
    printed, lines = refused(capsys, "post", "--dir", folder.path, *given)
    assert "not posted, 5 rules are broken" in lines[0]
    assert sorted(line.rpartition("[")[2] for line in lines[1:]) == [
        "area]", "expires]", "incident]", "retention]", "window-past]",
    ]  # fmt: skip
    assert "A bicycle." in printed
    assert not (folder.path / "requests").exists()


def test_json_of_a_broken_check(folder: AgencyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get every rule, and exit status 1."""
    printed, _ = refused(capsys, "post", "--dir", folder.path, *flags(radius_m="9"), "--check", "--json")
    told: dict[str, Any] = json.loads(printed)
    assert told["kept"] is False
    assert [row["rule"] for row in told["rules"] if not row["kept"]] == ["area"]
    assert all({"rule", "value", "limit", "kept", "message"} == set(row) for row in told["rules"])


def test_a_page_to_look_at(folder: AgencyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--preview` writes what the public will read as a page, also where rules are broken."""
    page = tmp_path / "preview.html"
    for radius in ("250", "2500"):
        arguments = ("post", "--dir", folder.path, *flags(radius_m=radius), "--check", "--preview", page)
        (shown if radius == "250" else refused)(capsys, *arguments)
        assert f"{radius} m of" in page.read_text()
    _, lines = refused(capsys, *arguments[:-1], tmp_path / "nowhere" / "x.html")
    assert "choose another --preview" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("update", "abcdef", "--note", "x"), "give one of --answered, --resolved and --withdrawn"),
        (("update", "abcdef", "--note", "x", "--answered", "--resolved"), "give one of"),
        (("update", "abcdef", "--note", "x", "--answered"), "no request of this agency begins with 'abcdef'"),
        (("withdraw", "abc"), "latchstring agency list"),
        (("post", *flags(start="noon", end=None)), "--start: 'noon' is no date and time"),
        (("post", *flags(end="2026-01-01 10:00")), "has no time zone"),
        (("post", *flags(end="2026-01-01 10:00")), "with a zone: --zone Europe/Berlin"),
        (("open", "nowhere.age", "--out", "x"), "no such file; 'latchstring agency fetch' brings bundles"),
        (("post", "nowhere.toml"), "nowhere.toml can't be read"),
        (("post", *flags(case="")), "--case: is empty"),
        (("post", *flags(), "--wait", "-1"), "give seconds, such as --wait 120"),
        (("fetch", "abcdef"), "no request of this agency"),
    ],
)
def test_mistakes(
    folder: AgencyFolder, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    """One line: what is wrong, and what to do."""
    _, lines = refused(capsys, *arguments, "--dir", folder.path)
    assert len(lines) == 1
    assert said in lines[0]


def test_an_empty_list(folder: AgencyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """An agency that asked nothing yet is told how to begin."""
    assert "agency post" in shown(capsys, "list", "--dir", folder.path)
    assert json.loads(shown(capsys, "list", "--dir", folder.path, "--json")) == []


def test_the_log_is_not_there(folder: AgencyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that can't be reached is named; a new key is made without it, and waits."""
    settings = folder.path / "agency.toml"
    settings.write_text(settings.read_text().replace("http://broker/", "http://127.0.0.1:9/"))
    assert "cannot be reached" in refused(capsys, "status", "--dir", folder.path)[1][-1]
    told = json.loads(shown(capsys, "rotate", "--dir", folder.path))
    assert set(told) == {"agency", "name", "domain", "contact", "key", "recipient"}
    assert "cannot be reached" in refused(capsys, "rotate", "--dir", folder.path)[1][-1]
    assert "cannot be reached" in refused(capsys, "post", "--dir", folder.path, *flags())[1][-1]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "sent"), [("n", False), ("", False), ("y", True)])
def test_asked_at_a_terminal(folder: AgencyFolder, answer: str, sent: bool) -> None:
    """At a terminal it is shown and asked; only a yes goes on to the log, which is not there."""
    settings = folder.path / "agency.toml"
    settings.write_text(settings.read_text().replace("http://broker/", "http://127.0.0.1:9/"))
    pid, terminal = pty.fork()
    if pid == 0:
        program = [sys.executable, "-P", "-m", "broker", "agency", "post", "--dir", str(folder.path), *flags()]
        os.execv(sys.executable, program)
    printed = b""
    until = time.monotonic() + 40
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # the other side has ended
            break
        printed += data
        if printed.endswith(b"[y/N] "):
            os.write(terminal, f"{answer}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 1
    assert b"A bicycle." in printed
    assert (b"you did not say yes" in printed) is not sent
    assert (b"cannot be reached" in printed) is sent
    assert (folder.path / "requests").exists() is sent


def test_a_folder_that_is_no_agencys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was given as --dir is named, and what to give."""
    for command in ("list", "status"):
        _, lines = refused(capsys, command, "--dir", tmp_path)
        assert lines == [
            f"broker: {tmp_path} is no agency's folder; give --dir the folder that 'latchstring agency init' made"
        ]


def test_another_case_is_advised(folder: AgencyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """Posts that were never confirmed count too, and the refusal says what a new case needs."""
    for number in (1, 2):
        request = make_request(folder.recipient(), case="26-0001").model_copy(update={"retention_days": number})
        envelope = request.sign(folder.signing_key())
        place = folder.request_folder(leaf_hash(envelope).hex())
        place.mkdir(parents=True)
        (place / "request.dsse.json").write_bytes(envelope)
    _, lines = refused(capsys, "post", "--dir", folder.path, *flags(), "--check")
    assert lines[1].endswith("the most there may be (a new case needs another --case) [posts-per-case]")
