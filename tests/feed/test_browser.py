"""The pages in a browser: for everybody, on any screen, with and without script."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.feed.browsing import DESKTOP, PHONE, browser, complaints
from tests.feed.site import Site

pytestmark = [pytest.mark.chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_nothing_on_any_page(site: Site, chromium: Any, size: dict[str, int], scheme: str) -> None:
    """No page has anything that axe-core complains of, nothing is wider than the screen, no error is logged."""
    context = chromium.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Security Policy" in message.text else None)
    for name, path in site.pages.items():
        page.goto(site.url + path)
        page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
        assert complaints(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"], name
    assert errors == []
    context.close()


def test_no_page_asks_anybody_else_for_anything(site: Site, chromium: Any) -> None:
    """Every request that a browser makes goes to the site itself."""
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in site.pages.values():
        page.goto(site.url + path)
    assert len(asked) > 20
    assert all(url.startswith(f"{site.url}/") for url in asked)
    page.close()


def test_the_filter_works_without_script(site: Site, chromium: Any) -> None:
    """Form, map cells, paging and zooming out are links and a GET form; the button that needs script is not shown."""
    context = chromium.new_context(java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    page.goto(site.url)
    assert page.locator("#draw").is_hidden()
    page.get_by_label("Incident").select_option("robbery")
    page.get_by_label("Posted from").fill("2025-01-01")
    page.get_by_role("button", name="Show requests").click()
    assert page.url == f"{site.url}/?incident=robbery&since=2025-01-01"
    titles = page.locator(".card h3").all_inner_texts()
    assert titles
    assert set(titles) == {"Robbery"}
    page.locator("svg#overview a[href^='/?']").first.click()
    assert re.search(r"\?incident=robbery&area=[^&]+&since=2025-01-01$", page.url)
    page.get_by_role("link", name="Everywhere").click()
    assert page.url == f"{site.url}/?incident=robbery&since=2025-01-01"
    page.goto(site.url)
    page.get_by_role("link", name="Older requests").click()
    assert page.locator(".card").count() == 30
    page.get_by_role("link", name="Newest requests").click()
    assert page.url == f"{site.url}/"
    context.close()


def test_the_filter_works_by_keyboard_alone(site: Site, chromium: Any) -> None:
    """From the top of the page: skip link, form, choice, submission, first request; focus is always to be seen."""
    page = chromium.new_page(viewport=DESKTOP)
    page.goto(site.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(30):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
        if page.evaluate("document.activeElement.id") == "status":
            break
    page.keyboard.type("Withdrawn")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Show requests").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.url == f"{site.url}/?status=withdrawn"
    page.locator(".card h3 a").first.focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "/requests/" in page.url
    assert page.locator(".status.withdrawn").is_visible()
    page.close()


def test_an_area_is_drawn_on_the_map(site: Site, chromium: Any) -> None:
    """Dragging a rectangle fills the field with its coordinates; what is found lies in it."""
    page = chromium.new_page(viewport=DESKTOP)
    page.goto(site.url)
    page.get_by_role("button", name="Draw an area").click()
    frame = page.locator("svg#overview rect.ground").bounding_box()
    x, y, width, height = (frame[side] for side in ("x", "y", "width", "height"))
    page.mouse.move(x + width * 0.3, y + height * 0.3)
    page.mouse.down()
    page.mouse.move(x + width * 0.6, y + height * 0.7, steps=4)
    page.mouse.up()
    south, west, north, east = (float(side) for side in page.get_by_label("Area").input_value().split(","))
    bounds = [float(one) for one in page.locator("svg#overview").get_attribute("data-view").split(",")]
    assert south == pytest.approx(bounds[2] - 0.7 * (bounds[2] - bounds[0]), abs=0.001)
    assert east == pytest.approx(bounds[1] + 0.6 * (bounds[3] - bounds[1]), abs=0.001)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("rect.chosen").count() == 1
    for place in page.locator(".facts .whole").all_inner_texts():
        lat, lon = (float(one.split("°")[0]) for one in place.split(", "))
        assert south - 1e-4 <= lat <= north + 1e-4
        assert west - 1e-4 <= lon <= east + 1e-4
    page.close()


def test_a_hostile_text_runs_nothing(site: Site, chromium: Any) -> None:
    """Script in an address is shown as text; no dialogue opens and nothing is fetched."""
    page = chromium.new_page()
    dialogues: list[str] = []

    def refuse(dialogue: Any) -> None:
        dialogues.append(dialogue.message)
        dialogue.dismiss()

    page.on("dialog", refuse)
    page.goto(site.url + '/?area="><svg onload=alert(1)><script>alert(2)</script>')
    assert page.get_by_role("alert").inner_text().startswith("area: ")
    assert page.get_by_label("Area").input_value() == '"><svg onload=alert(1)><script>alert(2)</script>'
    assert dialogues == []
    page.close()


def test_a_small_screen_folds_what_is_not_used(site: Site, chromium: Any) -> None:
    """On a phone the list comes first; the form and the map open by a tap, and stay open where they were used."""
    page = chromium.new_page(viewport=PHONE)
    page.goto(site.url)
    assert page.get_by_label("Incident").is_hidden()
    page.get_by_text("Find requests").click()
    assert page.get_by_label("Incident").is_visible()
    page.goto(f"{site.url}/?incident=arson")
    assert page.get_by_label("Incident").is_visible()
    page.close()


def test_a_request_prints_on_two_pages(site: Site, chromium: Any) -> None:
    """On paper there is no navigation and no button; the terms, the map and the commands are."""
    page = chromium.new_page()
    page.goto(site.url + site.pages["request"])
    page.emulate_media(media="print")
    assert page.locator("nav").first.is_hidden()
    assert page.locator(".downloads").first.is_hidden()
    for text in ("Terms", "When and where", "Check it without trusting us"):
        assert page.get_by_role("heading", name=text).is_visible()
    pages = re.findall(rb"/Type\s*/Page[^s]", page.pdf(format="A4"))
    assert len(pages) == 2
    page.close()
