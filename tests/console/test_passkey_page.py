"""A passkey in the page, with the browser's virtual authenticator: added, unlocking, approving, removed."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.console.owner import Owner, owner_at
from tests.console.serving import console_of
from tests.console.support import PASSPHRASE, PD, PORCH, Household

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.xdist_group("console"), pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(120),
]  # fmt: skip

AUTHENTICATOR = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "hasPrf": True,
    "automaticPresenceSimulation": True,
}


def test_a_passkey_unlocks_and_approves(household: Household, chromium: "Browser", tmp_path: Path) -> None:
    """Added with the passphrase it opens a locked console and approves; once removed it is asked no more."""
    leaf = household.offered(PORCH)
    key = tmp_path / "owner.key.json"  # a passkey is kept beside it
    shutil.copy(household.owner_key, key)
    with (
        console_of(tmp_path / "console", [household.home(PORCH)], key) as console,
        owner_at(console, chromium) as owner,
    ):
        _with_authenticator(owner)
        owner.open()
        _added(owner)
        cells = console.cells()
        owner.press("Lock")
        owner.at_lock.wait_for()
        console.next_cell(cells)
        owner.press("Unlock with a passkey")
        owner.heading("Settings").wait_for()
        owner.review(leaf, PORCH)
        owner.choose(0)
        owner.see()
        owner.press("Approve and send…")
        owner.press("Approve with a passkey", within=owner.page.get_by_role("dialog"))
        owner.heading("Received").wait_for()
        owner.go("Settings")
        owner.page.get_by_role("button", name="Remove").first.click()
        owner.page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        owner.page.get_by_text("No passkey yet.").wait_for()
        owner.press("Lock")
        owner.at_lock.wait_for()
        assert owner.page.get_by_role("button", name="Unlock with a passkey").count() == 0
    assert len(household.received_by(PD, leaf)) == 1


def test_a_passkey_elsewhere_opens_nothing(household: Household, chromium: "Browser", tmp_path: Path) -> None:
    """With a passkey that this browser does not have the page says so, and the passphrase still works."""
    key = tmp_path / "owner.key.json"
    shutil.copy(household.owner_key, key)
    with console_of(tmp_path / "console", [household.home(PORCH)], key) as console:
        with owner_at(console, chromium) as owner:
            _with_authenticator(owner)
            owner.open()
            _added(owner)
            owner.press("Lock")
            owner.at_lock.wait_for()
        with owner_at(console, chromium) as owner:
            _with_authenticator(owner)
            owner.page.goto(console.link())
            owner.press("Unlock with a passkey")
            owner.page.get_by_text("Your passphrase always works").first.wait_for()
            owner.unlock()
            owner.heading("Home").wait_for()


def _with_authenticator(owner: Owner) -> None:
    session = owner.page.context.new_cdp_session(owner.page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})


def _added(owner: Owner) -> None:
    owner.go("Settings")
    owner.press("Add a passkey")
    dialog = owner.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("This laptop")
    dialog.get_by_label("Passphrase").first.fill(PASSPHRASE)
    dialog.get_by_role("button", name="Add").click()
    owner.page.get_by_text("This laptop").first.wait_for()
