"""An agency's folder: made once, private, and read back strictly."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

from broker.agency import AgencyError, AgencyFolder, application
from broker.wire.encoding import from_base64
from broker.wire.envelopes import public_bytes
from tests.agency.support import NOW_US, POLICY_TEXT, make_folder
from tests.conftest import need


def test_made_and_loaded(tmp_path: Path) -> None:
    """What `init` made loads again with the same keys, and its secrets are the user's alone."""
    made = make_folder(tmp_path / "agency")
    loaded = AgencyFolder.load(tmp_path / "agency")
    assert loaded.settings == made.settings
    assert public_bytes(loaded.signing_key()) == public_bytes(made.signing_key())
    assert loaded.recipient() == made.recipient()
    assert loaded.policy().quorum is None
    for name in ("agency.key", "identity.txt"):
        assert stat.S_IMODE((loaded.path / name).stat().st_mode) == 0o600
    assert (loaded.path / "policy.txt").read_text() == POLICY_TEXT


def test_application(tmp_path: Path) -> None:
    """The operator is told all it needs, and no secret."""
    folder = make_folder(tmp_path / "agency")
    told = application(folder)
    assert set(told) == {"agency", "name", "domain", "contact", "key", "recipient"}
    assert from_base64(told["key"], size=32) == public_bytes(folder.signing_key())
    assert told["recipient"] == folder.recipient()
    record = folder.as_admitted(NOW_US)
    assert (record.agency, record.contact) == (told["agency"], told["contact"])


def test_the_application_is_kept(tmp_path: Path) -> None:
    """What the operator needs lies in the folder too, and an `init` that is refused says where."""
    folder = make_folder(tmp_path / "agency")
    file = folder.path / "application.json"
    assert json.loads(file.read_text()) == application(folder)
    with pytest.raises(AgencyError, match=f"its application is {file}"):
        make_folder(folder.path)


def test_a_contact_elsewhere(tmp_path: Path) -> None:
    """An address outside the domain is refused before there are keys."""
    with pytest.raises(AgencyError, match=r"--contact: me@mail\.example is no address in"):
        make_folder(tmp_path / "agency", contact="me@mail.example")
    assert not (tmp_path / "agency").exists()


def test_never_overwritten(tmp_path: Path) -> None:
    """A second `init` in the same place is refused, and the first one's keys stay."""
    first = make_folder(tmp_path / "agency")
    recipient = first.recipient()
    with pytest.raises(AgencyError, match="already"):
        make_folder(tmp_path / "agency")
    (tmp_path / "agency" / "agency.toml").unlink()
    with pytest.raises(AgencyError, match="never overwritten"):
        make_folder(tmp_path / "agency")
    assert first.recipient() == recipient


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('colour = "blue"', "colour"),
        ('contact = "nobody"', "contact"),
        ('log_url = "ftp://x"', "log_url"),
        ("id = 3", "id"),
        ("=", "TOML"),
    ],
)
def test_wrong_settings(tmp_path: Path, line: str, said: str) -> None:
    """Unknown keys and wrong values are named with the file."""
    folder = make_folder(tmp_path / "agency")
    file = folder.path / "agency.toml"
    key = line.partition(" ")[0]
    kept = [old for old in file.read_text().splitlines() if old.partition(" ")[0] != key]
    file.write_text("\n".join([*kept, line]))
    with pytest.raises(AgencyError, match=said) as caught:
        AgencyFolder.load(folder.path)
    assert "agency.toml" in str(caught.value)
    assert "\n" not in str(caught.value) or said == "TOML"


def test_open_secrets_are_refused(tmp_path: Path) -> None:
    """A secret that others can read is not used."""
    folder = make_folder(tmp_path / "agency")
    for name, read in (("identity.txt", folder.identity), ("agency.key", folder.signing_key)):
        (folder.path / name).chmod(0o644)
        with pytest.raises(AgencyError, match="chmod 600"):
            read()


def test_damaged_files(tmp_path: Path) -> None:
    """A damaged identity or policy is named."""
    folder = make_folder(tmp_path / "agency")
    (folder.path / "identity.txt").write_text("# nothing\n")
    with pytest.raises(AgencyError, match="exactly one line"):
        folder.identity()
    (folder.path / "policy.txt").write_text("log\n")
    with pytest.raises(AgencyError, match=r"policy\.txt"):
        folder.policy()
    with pytest.raises(AgencyError, match="is no agency's folder"):
        AgencyFolder.load(tmp_path / "nowhere")


@pytest.mark.age
def test_identity_is_age_keygens(tmp_path: Path) -> None:
    """The stock age-keygen reads our identity file and derives the same recipient."""
    folder = make_folder(tmp_path / "agency")
    told = subprocess.run(
        [need("age-keygen"), "-y", folder.path / "identity.txt"], check=True, capture_output=True, text=True
    )
    assert told.stdout.strip() == folder.recipient()
