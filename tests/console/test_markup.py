"""What an agency writes is text wherever it is shown, whatever it looks like."""

from typing import TYPE_CHECKING

import pytest

from tests.console.owner import Owner, owner_at
from tests.console.serving import Console
from tests.console.support import EVIL, MARKUP, PORCH, Household

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.xdist_group("console"), pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(90),
]  # fmt: skip

ATTACK = "</p><svg/onload=alert(1)>"
MADE_OF_IT = """
document.querySelectorAll("img[src='x'], svg[onload], script:not([src]), [onerror], [onload], a[href^='javascript:']")
  .length
"""


def test_an_agencys_words_are_words_on_every_page(console: Console, chromium: "Browser", household: Household) -> None:
    """Name, case, description and terms are shown as they were written: none of it is run or becomes a tag."""
    given = {
        "case": f"2026 {ATTACK}",
        "description": f"{MARKUP}\n<a href=javascript:alert(1)>here</a> {ATTACK}",
        "purpose": f"Find it {ATTACK}",
        "sharing": (f"Others {ATTACK}",),
    }
    leaf = household.offered(PORCH, agency=EVIL, **given)
    with owner_at(console, chromium) as owner:
        owner.page.on("dialog", lambda dialog: owner.complaints.append(dialog.message))
        owner.open()
        owner.go("Requests")
        owner.page.get_by_text(MARKUP).first.wait_for()
        _is_text(owner)
        owner.request(leaf)
        for text in (MARKUP, ATTACK, "javascript:alert(1)"):
            owner.page.get_by_text(text).first.wait_for()
        _is_text(owner)
        for dialog in ("Decline", "Mute"):
            owner.press(dialog, within=owner.page.get_by_role("region", name=PORCH))
            owner.page.get_by_role("dialog").get_by_text(MARKUP).first.wait_for()
            _is_text(owner)
            owner.page.keyboard.press("Escape")
            owner.page.get_by_role("dialog").wait_for(state="detached")
        owner.review(leaf, PORCH)
        _is_text(owner)
        owner.choose(0)
        owner.see()
        owner.page.get_by_text(MARKUP).first.wait_for()
        _is_text(owner)
        owner.approve()
        owner.heading("Received").wait_for()
        _is_text(owner)
        owner.go("Ledger")
        owner.page.get_by_text(MARKUP).or_(owner.page.get_by_text(ATTACK)).first.wait_for()
        _is_text(owner)


def _is_text(owner: Owner) -> None:
    assert owner.page.evaluate(MADE_OF_IT) == 0
    assert "owned" not in owner.page.title()
    assert "49" not in owner.page.get_by_role("main").inner_text().split()
