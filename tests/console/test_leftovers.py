"""What remains after a lock, in memory and on disk: no key, no passphrase, no picture. And the daemon never had any."""

import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device.vault.keys import unlock_owner
from tests.console.browsing import with_profile
from tests.console.client import Client
from tests.console.memory import family, in_files, in_memory, mark_of_segment, mark_of_thumbnail, secrets_of
from tests.console.owner import Owner
from tests.console.reviewing import approved, built
from tests.console.serving import Console
from tests.console.support import DRIVE, PASSPHRASE, PD, PORCH, Household

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DAY_US = 86_400_000_000
pytestmark = [pytest.mark.xdist_group("console"), pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def wanted(household: Household) -> Mapping[str, bytes]:
    """What may be nowhere: the owner's secrets, and bytes of a picture that only who opened it has."""
    key = household.owner_key.read_bytes()
    identity = unlock_owner(key, PASSPHRASE).identity
    clip = _clip(household)
    sealed = household.exchange(PORCH, "read_segment", clip=clip, number=2)[1]
    thumbnail = household.exchange(PORCH, "thumbnail", clip=clip, number=0)[1]
    return {
        **secrets_of(key, PASSPHRASE),
        "picture": mark_of_segment(sealed, identity),
        "thumbnail": mark_of_thumbnail(thumbnail, identity),
    }


def test_after_a_lock_no_process_holds_a_key_or_a_picture(
    own_console: Console, household: Household, wanted: Mapping[str, bytes]
) -> None:
    """All of it is in the cell that was unlocked, which shows that it is found; then in none; and never in the rest."""
    daemons = [pid for name in (PORCH, DRIVE) for pid in family(household.running[name].pid)]
    before = own_console.cells()
    client = Client.opened(own_console.port, own_console.first_link)
    client.unlock()
    _use_everything(client, household)
    held = in_memory(own_console.cells(), wanted)
    assert {"identity", "picture"} <= held
    assert in_memory([own_console.pid], wanted) == set()
    client.lock()
    after = own_console.next_cell(before)
    assert not [pid for pid in before if Path(f"/proc/{pid}").exists()]
    assert in_memory([own_console.pid, *after], wanted) == set()
    assert in_memory(daemons, wanted) == set()


def test_the_key_that_signs_is_gone_once_it_has(
    own_console: Console, household: Household, wanted: Mapping[str, bytes]
) -> None:
    """While it is unlocked a console opens footage and signs nothing: after an approval the signing key is not kept."""
    client = Client.opened(own_console.port, own_console.first_link)
    client.unlock()
    _use_everything(client, household)
    held = in_memory(own_console.cells(), wanted)
    assert "identity" in held
    assert not {"signing key", "signing key, in text"} & held


def test_no_file_holds_a_key_or_a_picture(
    own_console: Console, household: Household, wanted: Mapping[str, bytes]
) -> None:
    """Neither while it is unlocked nor after: not in the devices' folders, nor where the console runs."""
    client = Client.opened(own_console.port, own_console.first_link)
    client.unlock()
    _use_everything(client, household)
    folders = [household.home(PORCH), household.home(DRIVE), own_console.folder, household.folder / "hood"]
    assert in_files(folders, wanted) == []
    assert _written_by(own_console.cells()) == set()
    assert all(_core_bytes(pid) == 0 for pid in family(own_console.pid))
    client.lock()
    assert in_files(folders, wanted) == []
    found = in_files([household.folder], {"passphrase": wanted["passphrase"]})
    assert found == [f"{household.passphrase}: passphrase"]


@pytest.mark.chromium
def test_the_browser_s_folder_holds_none_of_it(
    own_console: Console, chromium: "Browser", wanted: Mapping[str, bytes], tmp_path: Path
) -> None:
    """Unlocked in it, thumbnails seen and a clip played: neither its profile nor its scratch folder keeps anything."""
    profile = tmp_path / "profile"
    with (  # a short path: the browser has a socket there
        tempfile.TemporaryDirectory() as folder,
        with_profile(chromium, profile, scratch := Path(folder)) as context,
    ):
        owner = Owner(context, own_console)
        owner.open()
        owner.press(f"Show the day of {PORCH}")
        owner.page.get_by_role("button", name="Play: Ring").first.click()
        owner.until(f"document.querySelector('video').currentTime > {owner.film()['at'] + 0.2}")
        assert in_files([profile, scratch], wanted) == []
    assert any(profile.iterdir())
    assert in_files([profile], wanted) == []


def test_what_is_looked_for_is_found(tmp_path: Path, wanted: Mapping[str, bytes]) -> None:
    """The search itself finds each of the things in a file."""
    for number, needle in enumerate(wanted.values()):
        (tmp_path / str(number)).write_bytes(bytes(7) + needle + bytes(9))
    assert len(in_files([tmp_path], wanted)) >= len(wanted)
    assert all(len(needle) >= 28 for needle in wanted.values())


def _use_everything(client: Client, household: Household) -> None:
    """Play, look at thumbnails, build, preview, and approve."""
    clip = _clip(household)
    played = client.post("/api/play", device=PORCH, clip=clip)
    assert client.send("GET", played["url"]).status == 200
    now_us = time.time_ns() // 1_000
    day = client.get(f"/api/day?device={PORCH}&from_us={now_us - DAY_US}&until_us={now_us}")
    for one in day["clips"]:
        for url in one["thumbnails"]:
            assert client.send("GET", url).status == 200
    leaf = household.offered(PORCH)
    draft = built(client, PORCH, leaf)
    for one in draft["bundle"]["clips"]:
        assert client.send("GET", one["url"]).status == 200
    approved(client, draft, passphrase=PASSPHRASE)
    household.wait_for_state(PORCH, leaf, "received")
    assert len(household.received_by(PD, leaf)) == 1


def _clip(household: Household) -> str:
    return str(household.status(PORCH)["events"][-1]["clip"])


def _written_by(pids: list[int]) -> set[str]:
    """Return the files on disk that processes hold open to write, their own logs apart."""
    found = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            name = str(link.readlink())
            flags = int(Path(f"/proc/{pid}/fdinfo/{link.name}").read_text().split("flags:")[1].split()[0], 8)
            if name.startswith("/") and not name.startswith(("/dev/", "/memfd:")) and flags & 3:
                found.add(name)
    return {name for name in found if not name.endswith(".log")}


def _core_bytes(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_CORE)[0]
