"""Answering a request: what is chosen is what is shown, what is shown is what is sent, and a no sends nothing."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.client import Client
from tests.console.owner import Owner, owner_at
from tests.console.pictures import PHOTOGRAPH, decoded, roughness
from tests.console.reviewing import approved, built, rebuilt, whole
from tests.console.serving import Console
from tests.console.support import DRIVE, PASSPHRASE, PD, PORCH, Household

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.xdist_group("console"), pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(90),
]  # fmt: skip


def test_what_was_previewed_is_what_arrives(console: Console, chromium: "Browser", household: Household) -> None:
    """The agency opens the very files, byte for byte, that the page played and named before the approval."""
    leaf = household.offered(PORCH)
    with owner_at(console, chromium) as owner:
        owner.open()
        owner.review(leaf, PORCH)
        owner.choose(0, 1)
        owner.see()
        played = _films(owner)
        shown = owner.page.get_by_text("Sealed as filmed", exact=True)
        assert shown.count() == len(played) == 2
        owner.approve()
        owner.heading("Received").wait_for()
    opened = household.opened(leaf)
    assert opened["verified"]
    assert [_digest(opened, name) for name in ("clip-1.mp4", "clip-2.mp4")] == played


def test_without_a_tick_nothing_is_made(console: Console, chromium: "Browser", household: Household) -> None:
    """Nothing is chosen for the owner: without a clip the page says what is missing."""
    leaf = household.offered(DRIVE)
    with owner_at(console, chromium) as owner:
        owner.open()
        owner.review(leaf, DRIVE)
        assert owner.page.get_by_role("checkbox", checked=True).count() == 0
        owner.press("See what they get")
        owner.page.get_by_text("Tick at least one clip first").first.wait_for()


def test_handles_stay_on_the_seams(console: Console, chromium: "Browser", household: Household) -> None:
    """Moved by the keyboard an end goes from seam to seam, the clip stays sealed, and what arrives has that length."""
    leaf = household.offered(PORCH)
    with owner_at(console, chromium) as owner:
        owner.trim(leaf, PORCH, 0)
        start = owner.page.get_by_role("slider", name="Start of what they get")
        end = owner.page.get_by_role("slider", name="End of what they get")
        for slider, key, times in ((start, "ArrowRight", 3), (end, "ArrowLeft", 2)):
            for _ in range(times):
                slider.press(key)
        owner.page.get_by_text("Sealed as filmed:").wait_for()
        owner.see()
        assert owner.page.get_by_text("Sealed as filmed", exact=True).count() == 1
        film = owner.film()
        owner.approve()
        owner.heading("Received").wait_for()
    (clip,) = household.opened(leaf)["clips"]
    assert clip["end_us"] - clip["start_us"] == pytest.approx(film["length"] * 1e6, abs=50_000)
    assert film["length"] == pytest.approx(7, abs=1.2)


def test_a_cut_elsewhere_is_possible_and_told(console: Console, chromium: "Browser", household: Household) -> None:
    """Cut exactly, a clip is re-encoded: before and after, page and agency alike, it is marked as derived."""
    leaf = household.offered(PORCH)
    with owner_at(console, chromium) as owner:
        owner.trim(leaf, PORCH, 0)
        owner.page.get_by_role("switch", name="Cut exactly").click()
        start = owner.page.get_by_role("slider", name="Start of what they get")
        for _ in range(3):
            start.press("Shift+ArrowRight")
        owner.page.get_by_text("Re-encoded: cut between two seams").wait_for()
        owner.see()
        owner.page.get_by_text("Derived", exact=True).wait_for()
        (played,) = _films(owner)
        owner.approve()
        owner.heading("Received").wait_for()
    opened = household.opened(leaf)
    assert _digest(opened, "clip-1.mp4") == played


def test_a_box_hides_what_is_under_it(console: Console, chromium: "Browser", household: Household) -> None:
    """A box drawn on the picture is flat in every picture that the agency opens; beside it the film is as it was."""
    leaf = household.offered(PORCH)
    with owner_at(console, chromium) as owner:
        owner.trim(leaf, PORCH, 0)
        owner.press("Add a box")
        told = owner.page.get_by_role("button", name="Box 1:").or_(owner.page.get_by_label("Box 1:")).first
        box = _percents(str(told.get_attribute("aria-label")))
        owner.page.get_by_text("Re-encoded: boxes are hidden").wait_for()
        owner.see()
        owner.approve()
        owner.heading("Received").wait_for()
    pictures = decoded(_file(household.opened(leaf), "clip-1.mp4"))
    assert len(pictures) > 50
    assert max(roughness(picture, *box) for picture in pictures) < 3
    assert roughness(pictures[0], 0.02, 0.5, 0.3, 0.4) > 3


@pytest.mark.skipif(not PHOTOGRAPH.is_file(), reason="the photograph with a face is in Debian's opencv-doc")
def test_the_switch_hides_faces(console: Console, chromium: "Browser", household: Household) -> None:
    """The face is found and told of, and where it was told to be the agency's film is flat in every picture."""
    leaf = household.offered(DRIVE)
    with owner_at(console, chromium) as owner:
        owner.trim(leaf, DRIVE, 1)
        owner.page.get_by_role("switch", name="Hide faces").click()
        owner.see()
        owner.page.get_by_text("hidden in").wait_for()
        owner.approve()
        owner.heading("Received").wait_for()
    after = decoded(_file(household.opened(leaf), "clip-1.mp4"))
    again = household.offered(DRIVE)
    client = Client.opened(console.port, console.link())
    with client.there():
        client.unlock()
        draft = client.post("/api/drafts", device=DRIVE, leaf=again)
        made = rebuilt(
            client, draft["draft"], {"clips": [{**whole(draft["clips"][1]), "hide_faces": True}], "rings": False}
        )
    (clip,) = made["bundle"]["clips"]
    assert clip["faces"]["tracks"] >= 1
    assert clip["faces"]["pictures"] > len(after) * 0.8
    hidden = _boxes_by_picture(clip, len(after))
    assert len(hidden) > 20
    assert max(roughness(after[number], *box) for number, box in hidden) < 6


def test_a_no_sends_nothing(console: Console, chromium: "Browser", household: Household) -> None:
    """Declined in the page, the inbox is sent not a byte, the agency finds nothing, and the page says so."""
    leaf = household.offered(PORCH)
    sent = household.inboxes[PORCH].sent
    with owner_at(console, chromium) as owner:
        owner.open()
        owner.request(leaf)
        owner.press("Decline", within=owner.page.get_by_role("region", name=PORCH))
        owner.press("Decline", within=owner.page.get_by_role("dialog"))
        owner.is_told("Declined. Nothing was sent")
        owner.page.get_by_role("region", name=PORCH).get_by_text("declined").wait_for()
    household.wait_for_state(PORCH, leaf, "declined")
    assert household.received_by(PD, leaf) == []
    assert household.inboxes[PORCH].sent == sent


def test_what_is_muted_is_out_of_the_way(console: Console, chromium: "Browser", household: Household) -> None:
    """A muted kind of incident waits in its own list, is not counted, and comes back when the mute is undone."""
    leaf = household.offered(PORCH, incident="arson")
    with owner_at(console, chromium) as owner:
        owner.open()
        owner.request(leaf)
        owner.press("Mute", within=owner.page.get_by_role("region", name=PORCH))
        owner.press("All about: arson", within=owner.page.get_by_role("dialog"))
        owner.is_told("is muted")
        owner.go("Requests")
        owner.page.get_by_role("tab", name="Muted").click()
        owner.page.get_by_role("link", name="Arson").wait_for()
        owner.press("Undo the mute of arson")
        owner.page.get_by_role("link", name="Arson").wait_for(state="detached")
        owner.page.get_by_role("tab", name="Waiting").click()
        owner.page.get_by_role("link", name="Arson").first.wait_for()


def test_a_wrong_passphrase_approves_nothing(client: Client, household: Household) -> None:
    """Nor does another bundle's digest, nor a second approval: each is refused, and one bundle is sent, once."""
    leaf = household.offered(PORCH)
    draft = built(client, PORCH, leaf)
    address = f"/api/drafts/{draft['draft']}/approve"
    sha256 = draft["bundle"]["sha256"]
    assert client.ask(address, sha256=sha256, passphrase="wrong").status == 403
    assert client.ask(address, sha256="0" * 64, passphrase=PASSPHRASE).status == 409
    assert client.ask(address, sha256=sha256).status == 400
    household.wait_for_state(PORCH, leaf, "offered")
    approved(client, draft, passphrase=PASSPHRASE)
    household.wait_for_state(PORCH, leaf, "received")
    assert client.ask(address, sha256=sha256, passphrase=PASSPHRASE).status == 409
    assert len(household.received_by(PD, leaf)) == 1


def _films(owner: Owner) -> list[str]:
    """Return the digests of the films that the page plays, fetched as the page does."""
    owner.film()
    addresses: list[str] = owner.page.evaluate(
        "[...document.querySelectorAll('video')].map((one) => new URL(one.src).pathname)"
    )
    client = Client(owner.console.port)
    return [hashlib.sha256(client.send("GET", address).body).hexdigest() for address in addresses]


def _digest(opened: Mapping[str, Any], name: str) -> str:
    return hashlib.sha256(_file(opened, name)).hexdigest()


def _file(opened: Mapping[str, Any], name: str) -> bytes:
    return (Path(opened["folder"]) / name).read_bytes()


def _percents(told: str) -> tuple[float, float, float, float]:
    x, y, width, height = (int(word) / 100 for word in told.partition(":")[2].split() if word.isdigit())
    return x, y, width, height


def _boxes_by_picture(clip: Mapping[str, Any], count: int) -> list[tuple[int, tuple[float, float, float, float]]]:
    """Return which picture of a clip holds which hidden face."""
    span_us = clip["end_us"] - clip["start_us"]
    numbered = [(round((box["at_us"] - clip["start_us"]) / span_us * count), box) for box in clip["face_boxes"]]
    return [(at, (box["x"], box["y"], box["width"], box["height"])) for at, box in numbered if 0 <= at < count]
