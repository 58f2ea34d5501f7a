"""The owner's choice, cut and box by box, without a page: the modules run in Node as they run in a browser."""

import os
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from tests.conftest import need

pytestmark = pytest.mark.node


def test_the_choice_is_what_the_owner_made_of_it(tmp_path: Path) -> None:
    """Every sentence in review_model.mjs holds: cuts, limits, seals, and boxes over time."""
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")  # as a browser takes a .js file
    for name in ("boxmodel.js", "reviewmodel.js"):
        source = (files("device.console") / "static" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(source, encoding="utf-8")
    script = Path(__file__).with_name("review_model.mjs")
    done = subprocess.run(
        [need("node"), str(script)],
        env={**os.environ, "MODULES": f"{tmp_path.as_uri()}/"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr
