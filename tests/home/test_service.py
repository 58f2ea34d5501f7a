"""The daemon's own process: what it does without, and how it ends."""

import subprocess
import sys
from pathlib import Path

from device.service import ORNAMENTS

NEEDLESS = (*ORNAMENTS, "cyclopts", "httpx", "pyrage")
LOAD = f"""
import sys
from device import service
with service._without(*service.ORNAMENTS):
    import device.daemon
print([name for name in {NEEDLESS!r} if sys.modules.get(name)])
import rich
from device.link import upload_bundle
from device.vault.sealing import new_identity
new_identity()
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-P", *arguments], capture_output=True, text=True, check=False, timeout=30)


def test_a_daemon_holds_nothing_that_it_does_not_need() -> None:
    """No command line, no colours, no HTTP client and no key opener in memory; each is there once it is asked for."""
    done = run("-c", LOAD)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_settings_that_are_not_there_end_in_one_line(tmp_path: Path) -> None:
    """A mistake is told as by the command line."""
    done = run("-m", "device.service", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("latchstring: ")
    assert done.stderr.count("\n") == 1
