"""The three commands on a request's page: run as they stand there, and refused for what was forged."""

import html
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import need
from tests.feed.site import Site


def commands(http: httpx.Client, leaf: str) -> list[str]:
    """The page's commands, as somebody would copy them."""
    found = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", http.get(f"/requests/{leaf}").text, re.DOTALL)
    return [html.unescape(one) for one in found]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    tool = folder / "bin" / "latchstring"
    if not tool.exists():
        tool.parent.mkdir()
        tool.write_text(f'#!/bin/sh\nexec {sys.executable} -m broker "$@"\n')
        tool.chmod(0o755)
    script = f'PATH="{tool.parent}:$PATH"\n{command}'
    return subprocess.run(
        ["/bin/sh", "-ec", script], cwd=folder, capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.openssl
def test_the_commands_work_as_they_stand(site: Site, http: httpx.Client, tmp_path: Path) -> None:
    """The hash is the page's, the signature verifies by openssl, the whole log holds."""
    need("curl")
    need("openssl")
    leaf = site.leaves[1]
    hashed, signed, logged = commands(http, leaf)
    assert run(hashed, tmp_path).stdout.split()[0] == leaf
    checked = run(signed, tmp_path)
    assert (checked.returncode, checked.stdout.strip()) == (0, "Signature Verified Successfully")
    verified = run(logged, tmp_path)
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.startswith("entry ")
    assert "nothing wrong" in verified.stdout


@pytest.mark.openssl
def test_the_commands_refuse_what_was_changed(site: Site, http: httpx.Client, tmp_path: Path) -> None:
    """One changed letter of the request gives another hash, and a signature that does not verify."""
    need("curl")
    need("openssl")
    leaf = site.leaves[1]
    hashed, signed, logged = commands(http, leaf)
    run(hashed, tmp_path)
    file = tmp_path / "request.dsse.json"
    text = file.read_text()
    middle = text.index('"payload":"') + 60
    file.write_text(text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :])
    changed = run(hashed.splitlines()[1], tmp_path)
    assert changed.stdout.split()[0] != leaf
    assert run(signed, tmp_path).returncode != 0
    unproven = run(logged, tmp_path)
    assert unproven.returncode == 1
    assert unproven.stderr.count("\n") == 1
    assert "does not lead to the checkpoint's root" in unproven.stderr
