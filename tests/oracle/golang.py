"""The Go programs beside these tests: built without a network, asked by a line of JSON."""

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need

SOURCE = Path(__file__).parent / "go"
GOPATH = Path("/usr/share/gocode")  # where Debian puts Go libraries
X_MOD = GOPATH / "src/golang.org/x/mod/sumdb/note"


class RefusedError(Exception):
    """The peer does not accept what it was given."""


def build(*, cache: Path, into: Path) -> Path:
    """Build the program with Debian's compiler and x/mod."""
    go = need("go")
    if not X_MOD.is_dir():
        if os.environ.get("CI"):
            pytest.fail("golang-golang-x-mod-dev is not installed, and CI must run this test")
        pytest.skip("golang-golang-x-mod-dev is not installed")
    program = into / "oracle"
    settings = {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": "", "GOCACHE": str(cache), "CGO_ENABLED": "0"}
    subprocess.run([go, "build", "-o", str(program), "."], cwd=SOURCE, env=os.environ | settings, check=True)
    return program


class Oracle:
    """One running program; `ask` raises RefusedError with its reason."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, what: str, **question: Any) -> dict[str, Any]:
        """Ask; bytes go and come as base64, and come back under `note`, `root`, `hashes` and `files` as bytes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"ask": what, **{key: _in(value) for key, value in question.items()}})
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in found:
            assert not found["error"].startswith(("question:", "panic:")), found["error"]
            raise RefusedError(found["error"])
        for key in {"note", "root"} & found.keys():
            found[key] = base64.b64decode(found[key])
        found["hashes"] = [base64.b64decode(one) for one in found.get("hashes", [])]
        found["files"] = {path: base64.b64decode(data) for path, data in found.get("files", {}).items()}
        return found

    def close(self) -> None:
        """End the program."""
        self._process.communicate(timeout=10)


def _in(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (list, tuple)):
        return [_in(one) for one in value]
    return value
