"""What every test shares: where the optional system packages are, and the rule that CI may not skip them."""

import os
import shutil

import pytest
from hypothesis import settings

# Deep in CI, quick at the desk; no deadline, since other work on the machine is nobody's fault.
settings.register_profile("desk", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=150, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def need(command: str) -> str:
    """Return the path of a system command, or skip the test; in CI a missing one is a failure, not a skip."""
    path = shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{command} is not installed, and CI must run this test")
        pytest.skip(f"{command} is not installed")
    return path
