"""The commands' mistakes: each a user's error ends in one line on standard error, and exit status 1."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from cyclopts import App

from broker.__main__ import app
from broker.errors import user_errors
from broker.settings import SettingsError
from broker.terminal import message_for_user, run_app
from tests.agency.support import POLICY_TEXT
from tests.broker.test_neighbourhood import FACTS


def fail(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail as a user's mistake does; returns its line, which stands behind any events."""
    with pytest.raises(SystemExit) as caught:
        run_app(app, [str(one) for one in arguments], name="broker", user_errors=user_errors)
    *events, said = capsys.readouterr().err.splitlines()
    assert caught.value.code == 1, said
    assert said.startswith("broker: ")
    assert all(json.loads(event)["level"] == "info" for event in events)
    return said


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """`broker run` configures the logs of its process, which here is everybody's."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def odd(tmp_path: Path) -> dict[str, Path]:
    """Paths that no file can be read from: missing, a folder, not UTF-8."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes("café".encode("latin-1"))
    return {"missing": tmp_path / "missing", "folder": tmp_path / "folder", "latin": tmp_path / "latin"}


@pytest.mark.parametrize("kind", ["missing", "folder", "latin"])
def test_files_that_cannot_be_read(
    tmp_path: Path, odd: dict[str, Path], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that takes a file names the one that it can't use."""
    path = odd[kind]
    FACTS.write(tmp_path)
    facts = tmp_path / "neighbourhood.json"
    new = ("--id", "pd", "--name", "PD", "--domain", "pd.example", "--contact", "desk@pd.example")
    agency = tmp_path / "agency"
    for arguments in (
        ("broker", "mosquitto", path, "--out", tmp_path / "out"),
        ("broker", "admit", path, "--dir", tmp_path, "--evidence", "a letter"),
        ("agency", "init", "--dir", agency, *new, "--neighbourhood", path),
        ("log", "verify", tmp_path, "--policy", path, "--operator-key", "A" * 43 + "="),
        ("log", "verify", tmp_path, "--neighbourhood", path),
        ("agency", "post", "--dir", path),
        ("agency", "fetch", "abcdef", "--dir", path),
    ):
        assert str(path) in fail(capsys, *arguments)
    if kind != "latin":  # a checkpoint is bytes
        assert str(path) in fail(capsys, "log", "verify", tmp_path, "--neighbourhood", facts, "--since", path)


@pytest.mark.parametrize("where", ["/proc/x", "/dev/null"])
def test_folders_that_cannot_be_made(tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that can't be made or written is named."""
    access = tmp_path / "access.toml"
    access.write_text('anonymous = "public"\n')
    assert where in fail(capsys, "broker", "run", "--dir", where)
    assert where in fail(capsys, "broker", "mosquitto", access, "--out", where)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ('access_file = "nowhere.toml"', "nowhere.toml can't be read: No such file"),
        ('access_file = "."', "can't be read: Is a directory"),
        ('embedded = false\npassword_file = "nowhere"', "nowhere cannot be read"),
        ('embedded = false\ntls = true\nca_file = "nowhere.pem"', "nowhere.pem can't be read"),
        ('embedded = false\ntls = true\nca_file = "neighbourhood.toml"', "no TLS with"),
        ("tls = true", "needs certificate_file and key_file"),
        ('tls = true\ncertificate_file = "nowhere.pem"\nkey_file = "neighbourhood.toml"', "nowhere.pem can't be read"),
        ('host = "0.0.0.0"', "open policy may not listen on"),
        ('public_host = "a host"', "public_host"),
    ],
)
def test_settings_that_cannot_be_kept(
    tmp_path: Path, settings: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that the settings name and that is not there, or not what it should be, stops the start with one line."""
    (tmp_path / "neighbourhood.toml").write_text(f"[http]\nport = 0\n[mqtt]\nport = 0\n{settings}\n")
    assert why in fail(capsys, "broker", "run", "--dir", tmp_path)


@pytest.mark.parametrize("name", ["log", "inbox", "operator.key"])
def test_what_stands_in_the_way_is_named(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where a folder should be, or the other way round."""
    if name == "operator.key":
        (tmp_path / name).mkdir(mode=0o700)
    else:
        (tmp_path / name).write_text("")
    said = fail(capsys, "broker", "run", "--dir", tmp_path, "--mqtt-port", 0, "--http-port", 0)
    assert str(tmp_path / name) in said


def test_an_application_with_odd_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What no agency record can hold is named."""
    FACTS.write(tmp_path)
    path = tmp_path / "application.json"
    path.write_text(json.dumps({"agency": "pd"}))
    assert "is not an application" in fail(capsys, "broker", "admit", path, "--dir", tmp_path, "--evidence", "none")


def test_an_address_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that can't be parsed is a finding like any log that can't be read."""
    FACTS.write(tmp_path)
    facts = tmp_path / "neighbourhood.json"
    key = "A" * 43 + "="
    (tmp_path / "policy.txt").write_text(POLICY_TEXT)
    given = ("--policy", tmp_path / "policy.txt", "--operator-key", key)
    assert "Invalid port" in fail(capsys, "log", "verify", "http://[::1", *given)
    assert str(facts) in fail(capsys, "log", "verify", "http://[::1", "--neighbourhood", facts, "--since", facts / "x")


def test_an_address_without_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody listens the address is named, and where logs are to be found."""
    FACTS.write(tmp_path)
    with socket.socket() as taken:  # bound, and not listened on
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = fail(capsys, "log", "verify", url, "--neighbourhood", tmp_path / "neighbourhood.json")
    assert f"no log at {url}: {url}/checkpoint: " in said
    assert "a neighbourhood's is at its address and /log, a mirror's below its address as its 'ready' line says" in said


def test_cosigners_ask_for_the_neighbourhood_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run too early, a mirror and a witness name the neighbourhood.json that is missing, whatever else is."""
    for kind in ("mirror", "witness"):
        said = fail(capsys, kind, "run", "--dir", tmp_path / kind, "--neighbourhood", tmp_path / "neighbourhood.json")
        assert f"{tmp_path / 'neighbourhood.json'} can't be read" in said


def test_errors_of_tasks_are_told_like_others() -> None:
    """A group of users' errors is its first one; with a fault of ours in it, it is a fault of ours."""
    mistake, disk = SettingsError("host: is none"), PermissionError(13, "Permission denied", "/srv/hood")
    told = user_errors()
    assert message_for_user(ExceptionGroup("", [ExceptionGroup("", [mistake]), disk]), told) == "host: is none"
    assert message_for_user(ExceptionGroup("", [disk]), told) == "/srv/hood: Permission denied"
    assert message_for_user(ExceptionGroup("", [mistake, AssertionError("ours")]), told) is None
    assert message_for_user(OSError(28, "No space left on device"), told) == "No space left on device"


def test_our_own_faults_are_not_hidden() -> None:
    """An error that is nobody's mistake but ours keeps its trace; an interruption has the shell's status."""
    faulty = App()

    @faulty.command
    def wrong() -> None:
        raise AssertionError("ours")

    @faulty.command
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(AssertionError):
        run_app(faulty, ["wrong"], name="x", user_errors=user_errors)
    with pytest.raises(SystemExit) as caught:
        run_app(faulty, ["interrupted"], name="x", user_errors=user_errors)
    assert caught.value.code == 130
