"""Keeps what a process holds out of core files: on a disk pictures are sealed. Python's own library alone."""

import ctypes
import resource
import sys

PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def forbid_dumps() -> None:
    """Have the system write no core file of this process, whatever ends it. To be called before there are pictures.

    A limit of zero is enough where cores are files. Linux minds no limit where it hands them to a program (core(5)),
    as most distributions have it: there the process must say that it may not be dumped. Then others of the same user
    can't look into its memory either. A program that this one turns into, or starts, says so for itself.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
