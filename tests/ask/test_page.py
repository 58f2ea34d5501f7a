"""The page in a browser: as one types, by keyboard, on a phone, without script."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.agency import preview
from broker.agency.public import preview_page, public_view
from tests.agency.support import NOW_US, make_folder, make_request
from tests.ask.browsing import DESK, PHONE, Shown, axe
from tests.ask.support import FORM

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.chromium, pytest.mark.slow, pytest.mark.xdist_group("chromium")]


def test_rules_as_one_types(shown: Shown) -> None:
    """Each rule changes its state with the field that it is about, without anything being sent."""
    assert set(shown.standing().values()) <= {"open", "kept"}
    assert shown.page.input_value("#zone") == "Europe/Berlin"
    shown.fill()
    sent = len(shown.asked)
    assert set(shown.standing().values()) == {"kept"}
    now = datetime.now(UTC)
    for rule, field, value in (
        ("area", "radius_m", "5000"),
        ("contact", "contact", "me@mail.example"),
        ("retention", "retention_days", "181"),
        ("expires", "expires_in_days", "31"),
        ("window", "start", shown.page.input_value("#end")),
        ("window-past", "end", (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")),
        ("look-back", "start", (now - timedelta(days=46)).strftime("%Y-%m-%dT%H:%M")),
    ):
        before = shown.page.input_value(f"#{field}")
        shown.page.fill(f"#{field}", value)
        assert shown.standing()[rule] == "broken", rule
        assert "broken" in shown.page.inner_text("#summary")
        shown.page.fill(f"#{field}", before)
        assert set(shown.standing().values()) == {"kept"}
    shown.page.uncheck("input[value=profiling]")
    assert shown.standing()["excludes"] == "broken"
    assert len(shown.asked) == sent


def test_the_slider_draws_the_area(shown: Shown) -> None:
    """Slider and number are one value, and the circle is to scale."""
    shown.fill()
    slider = shown.page.locator("#radius-slider")
    slider.focus()
    shown.page.keyboard.press("End")
    assert shown.page.input_value("#radius_m") == "642"
    largest = float(str(shown.page.get_attribute("#drawn", "r")))
    shown.page.keyboard.press("Home")
    assert shown.page.input_value("#radius_m") == "144"
    smallest = float(str(shown.page.get_attribute("#drawn", "r")))
    assert smallest / largest == pytest.approx(144 / 642, abs=0.01)
    shown.page.fill("#radius_m", "321")
    assert shown.page.input_value("#radius-slider") == "321"
    assert "321 m around 52.52030° N, 13.40540° E: 0.324 km² (0.125 sq mi)" in shown.page.inner_text("#drawing-words")


def test_by_keyboard_alone(shown: Shown) -> None:
    """From the first Tab to the command, without a pointer; the focus is always seen."""
    page = shown.page
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the form"
    page.keyboard.press("Enter")
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = str(page.evaluate("() => document.activeElement.name || document.activeElement.type || ''"))
        style = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none", name
        if name in {"agency", "incident"}:
            page.keyboard.press("ArrowDown")
        elif name == "excludes":
            page.keyboard.press("Space")
        elif name in {"start", "end"} and name not in seen:
            page.fill(f"#{name}", "2026-01-01T10:00")  # typing into its parts is the browser's own matter
        elif name in {"case", "description", "at", "purpose"}:
            page.keyboard.type("52.5N 13.4E")
        seen.append(name)
        if name == "submit":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector(".outcome")
    assert [name for name in FORM if name not in seen] == []
    assert "broken" in page.inner_text(".outcome")


def test_to_the_command_and_back(shown: Shown) -> None:
    """Checked, saved as a file, copied, changed, checked again: what was typed is never lost."""
    shown.fill(case="26-'77", folder="my agency")
    shown.page.click("text=Check, and make the command")
    command = str(shown.page.text_content("#command"))
    assert command == "latchstring agency post request-26-77.toml '--dir=my agency'"
    with shown.page.expect_download() as download:
        shown.page.click("a[download]")
    assert download.value.suggested_filename == "request-26-77.toml"
    assert download.value.path().read_text() == shown.page.text_content("#toml")
    shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.page.click("button[aria-label='Copy: The command']")
    shown.page.wait_for_selector("text=Copied")
    assert shown.page.evaluate("() => navigator.clipboard.readText()") == command
    assert shown.page.input_value("#case") == "26-'77"
    assert set(shown.standing().values()) == {"kept"}
    shown.page.fill("#description", "Changed.")
    shown.page.click("text=Check, and make the command")
    assert "Changed." in str(shown.page.text_content("#toml"))


def test_script_is_held_back(shown: Shown) -> None:
    """Markup can't be made from a text, nor code from a string: the browser refuses, whatever the page would do."""
    refused = shown.page.evaluate(
        """() => { try { document.body.innerHTML = "<b>x</b>"; return "done" } catch (error) { return error.name } }"""
    )
    assert refused == "TypeError"
    assert len(shown.complaints) == 1
    shown.complaints.clear()


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_nothing_in_the_way(browser: "Browser", address: str, size: dict[str, int], scheme: str) -> None:
    """axe-core finds nothing, empty, with mistakes, broken rules and done; nothing is wider than the window."""
    context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    context.add_init_script(axe())
    shown = Shown(context, address)
    for step in ("empty", "mistakes", "broken", "done"):
        if step == "mistakes":
            shown.fill(zone="Nowhere")
        elif step == "broken":
            shown.fill(contact="me@mail.example")
        elif step == "done":
            shown.fill()
        if step != "empty":
            shown.page.click("text=Check, and make the command")
            shown.page.wait_for_selector(".outcome")
            shown.page.evaluate("() => document.querySelectorAll('details').forEach((one) => one.open = true)")
        assert shown.violations() == [], step
        assert shown.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), step
    targets = shown.page.evaluate(
        """() => [...document.querySelectorAll("button, input:not([hidden]), select, textarea, .button")]
            .map((one) => (one.closest("label") ?? one).getBoundingClientRect().height)"""
    )
    assert min(targets) >= 24
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_preview_of_a_command(browser: "Browser", tmp_path: Path, scheme: str) -> None:
    """The page that `agency post --preview` writes is as sound: nothing for axe-core, and no wider than a phone."""
    folder = make_folder(tmp_path / "agency")
    agency, request = folder.as_admitted(NOW_US), make_request(folder.recipient())
    rows = preview(request, agency, now_us=NOW_US, earlier_posts=2)
    file = tmp_path / "preview.html"
    file.write_text(preview_page(public_view(request, agency), rows), encoding="utf-8")
    context = browser.new_context(viewport=PHONE, color_scheme=scheme)  # type: ignore[arg-type]
    context.add_init_script(axe())
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.evaluate("() => axe.run().then((found) => found.violations.map(({ id }) => id))") == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.inner_text("tr.broken th") == "posts-per-case"
    context.close()


def test_without_script(browser: "Browser", address: str) -> None:
    """The form alone gives the same command; there is no dead control in it."""
    context = browser.new_context(viewport=PHONE, java_script_enabled=False)  # type: ignore[arg-type]
    shown = Shown(context, address)
    assert not shown.page.is_visible("#radius-slider")
    assert not shown.page.is_visible("#standing")
    shown.fill()
    shown.page.click("text=Check, and make the command")
    assert "latchstring agency post request-26-001234.toml --dir=agency" in shown.page.inner_text("#command")
    assert shown.page.inner_text("#drawing-words").startswith("250 m around 52.52030° N")
    context.close()
