"""The daemon's own process: what it does without, and how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

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

GUARDED = """
import ctypes, pathlib, sys
from device.service import run_service
try:
    run_service(pathlib.Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__)
print(*[line for line in open("/proc/self/limits") if line.startswith("Max core file")], end="")
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
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


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_no_core_file_is_ever_written_of_it(tmp_path: Path) -> None:
    """Before anything else the daemon's process sees to it that pictures can't get to a disk by a crash."""
    error, limit, dumpable = run("-c", GUARDED, str(tmp_path)).stdout.splitlines()
    assert (error, limit.split()[4:6], dumpable) == ("SettingsError", ["0", "0"], "0")
