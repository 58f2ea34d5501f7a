"""CPU and memory of a process that runs, as the kernel counts them."""

import os
import resource
import subprocess
from collections.abc import Sequence
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system CPU seconds so far of a process and all its children: what getrusage tells, from outside."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    # Its own, and those of children that have ended and were waited for.
    own = sum(int(field) for field in fields[11:15]) / _TICKS_PER_S
    lists = Path(f"/proc/{pid}/task").glob("*/children")  # by the thread that started them
    return own + sum(cpu_s(int(child)) for children in lists for child in children.read_text().split())


def peak_mb(pid: int) -> float:
    """Largest resident set so far, in MB."""
    return _status_mb(pid, "VmHWM")


def resident_mb(pid: int) -> float:
    """Resident set now, in MB."""
    return _status_mb(pid, "VmRSS")


def own_cpu_s() -> float:
    """User and system CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def command_cpu_s(command: Sequence[str | Path]) -> float:
    """Run a command to its end; returns its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _status_mb(pid: int, key: str) -> float:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines[key].split()[0]) / 1_024
