"""`witness init`, `witness run` and their likes for mirrors: what they write, and mistakes in one line."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from broker.__main__ import app
from broker.errors import user_errors
from broker.log.witness.identity import IdentityError, create_identity, load_identity, read_identity
from broker.terminal import run_app
from tests.log.mirror_support import Tree, write_facts

ROOT = Path(__file__).parents[2]
KINDS = ["witness", "mirror"]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command configures the logs of its process, which here is everybody's."""
    yield
    structlog.reset_defaults()


def fail(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail as a user's mistake does; returns its one line."""
    with pytest.raises(SystemExit) as caught:
        run_app(app, [str(one) for one in arguments], name="broker", user_errors=user_errors)
    (said,) = capsys.readouterr().err.splitlines()
    assert caught.value.code == 1, said
    assert said.startswith("broker: ")
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_init_makes_a_key_and_what_an_operator_needs(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is its user's alone; cosigner.json has kind, name, verifier key and URL."""
    folder = tmp_path / "it"
    given = ["--dir", str(folder), "--name", "one.example.org", "--url", "http://127.0.0.1:8090/"]
    with pytest.raises(SystemExit) as caught:
        app([kind, "init", *given])
    assert not caught.value.code
    assert "cosigner.json" in capsys.readouterr().out
    fields = json.loads((folder / "cosigner.json").read_text())
    assert set(fields) == {"kind", "name", "key", "url"}
    assert (fields["kind"], fields["name"], fields["url"]) == (kind, "one.example.org", "http://127.0.0.1:8090")
    assert stat.S_IMODE((folder / "cosigner.key").stat().st_mode) == 0o600
    identity, key = load_identity(folder, kind=kind)  # type: ignore[arg-type]
    assert identity.verifier.key == key.public_key().public_bytes_raw()
    assert "never overwritten" in fail(capsys, kind, "init", *given)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("a b", "http://h:1"),
        ("a+b", "http://h:1"),
        ("", "http://h:1"),
        ("none", "http://h:1"),
        ("mirrors", "http://h:1"),
        ("w", "ftp://h"),
        ("w", "h:80"),
        ("w", "http://h:1/?q"),
        ("w", "http://h 1"),
        ("w", "http://h:99999"),
        ("w", "http://h:x"),
    ],
)
def test_names_and_addresses_that_can_not_be(
    tmp_path: Path, name: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can't stand in a note or a policy is refused before a key is made."""
    for kind in KINDS:
        fail(capsys, kind, "init", "--dir", tmp_path / "it", "--name", name, "--url", url)
    assert not (tmp_path / "it").exists()


def test_files_and_folders_that_are_not_as_they_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each mistake names the file, whichever of the two it is made with."""
    facts = write_facts(tmp_path / "neighbourhood.json", "http://127.0.0.1:1")
    for kind in KINDS:
        folder = tmp_path / kind
        run = (kind, "run", "--dir", folder, "--neighbourhood")
        assert "cosigner.json" in fail(capsys, *run, facts)
        create_identity(folder, kind=kind, name="one", url="http://127.0.0.1:0")  # type: ignore[arg-type]
        assert str(tmp_path / "missing") in fail(capsys, *run, tmp_path / "missing")
        assert str(tmp_path) in fail(capsys, *run, tmp_path)
        assert "already" in fail(capsys, *run, facts, "--neighbourhood", facts)
        key = folder / "cosigner.key"
        key.chmod(0o644)
        assert "chmod 600" in fail(capsys, *run, facts)
        key.unlink()
        assert str(key) in fail(capsys, *run, facts)
        create_identity(tmp_path / f"other {kind}", kind=kind, name="one", url="http://h")  # type: ignore[arg-type]
        os.link(tmp_path / f"other {kind}" / "cosigner.key", key)
        assert "is not the key" in fail(capsys, *run, facts)
    assert "is a witness's" in fail(capsys, "mirror", "run", "--dir", tmp_path / "witness", "--neighbourhood", facts)
    assert "/proc/x" in fail(capsys, "witness", "init", "--dir", "/proc/x", "--name", "w", "--url", "http://h")


@pytest.mark.parametrize("kind", KINDS)
def test_a_port_that_is_taken(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says which, and how to take another."""
    facts = write_facts(tmp_path / "neighbourhood.json", "http://127.0.0.1:1")
    create_identity(tmp_path / "it", kind=kind, name="one", url="http://127.0.0.1:1")  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = fail(capsys, kind, "run", "--dir", tmp_path / "it", "--neighbourhood", facts, "--port", port)
    assert f"127.0.0.1:{port}" in said
    assert "--port" in said
    fail(capsys, kind, "run", "--dir", tmp_path / "it", "--neighbourhood", facts, "--port", 70_000)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "log"},
        {"name": "another"},
        {"url": "nowhere"},
        {"key": "one+00000000+AAAA"},
        {"more": "fields"},
        {"name": 5},
    ],
)
def test_a_cosigner_file_is_read_strictly(tmp_path: Path, change: dict[str, object]) -> None:
    """What `init` would not write is refused, with the file's name."""
    create_identity(tmp_path, kind="witness", name="one", url="http://h")
    path = tmp_path / "cosigner.json"
    assert read_identity(path).name == "one"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(IdentityError, match=str(path)):
        read_identity(path)


@pytest.mark.slow
def test_the_real_process_keeps_its_word_when_it_is_killed(tmp_path: Path) -> None:
    """Killed right after an answer, the next process knows what this one cosigned; interrupted, it ends well."""
    facts = write_facts(tmp_path / "neighbourhood.json", "http://127.0.0.1:1")
    create_identity(tmp_path / "w", kind="witness", name="one", url="http://127.0.0.1:1")
    tree = Tree().grow(40)
    command = ["witness", "run", "--dir", str(tmp_path / "w"), "--neighbourhood", str(facts), "--port", "0"]
    size = 0
    for grown in (7, 40):
        with subprocess.Popen(
            [sys.executable, "-m", "broker", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            assert httpx.post(f"{url}/add-checkpoint", content=tree.submission(size, grown)).status_code == 200
            size = grown
            process.send_signal(signal.SIGKILL if grown == 7 else signal.SIGINT)
            assert process.wait(timeout=20) == (-signal.SIGKILL if grown == 7 else 0)
