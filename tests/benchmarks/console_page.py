"""What is timed in the page itself: from the click to what the owner waits for, by the browser's own clock."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

# The clock starts right before the click, and ends once what was waited for is drawn.
TO_ELEMENT = """
async ([button, shown, within]) => {
  const named = (one) => one.getAttribute("aria-label") ?? one.innerText.trim();
  const seen = () => [...document.querySelectorAll(shown)].some((one) => one.checkVisibility());
  const began = performance.now();
  [...document.querySelectorAll("button")].find((one) => named(one) === button && one.checkVisibility()).click();
  while (!seen()) {
    await new Promise(requestAnimationFrame);
    if (performance.now() - began > within) throw new Error(`${button}: nothing came of it`);
  }
  return performance.now() - began;
}
"""
TO_PICTURE = """
async (start) => {
  const named = (one) => one.getAttribute("aria-label") ?? "";
  const button = [...document.querySelectorAll("button")].find((one) => named(one).startsWith(start));
  const began = performance.now();
  button.click();
  let film = null;
  while (!(film = document.querySelector("dialog[open] video"))) await new Promise(requestAnimationFrame);
  await new Promise((shown, never) => {
    film.requestVideoFrameCallback(shown);
    setTimeout(() => never(new Error(`no picture: ${film.readyState}, ${film.error?.message}`)), 20_000);
  });
  const ms = performance.now() - began;
  if (film.videoWidth !== 1280 || film.duration < 58) throw new Error(`${film.videoWidth} wide, ${film.duration} s`);
  return ms;
}
"""
WEIGHT = """
(() => {
  const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return {files: loaded.length, bytes: loaded.reduce((sum, one) => sum + one.transferSize, 0)};
})()
"""


def ms_to_element(page: "Page", button: str, shown: str, *, within_ms: int = 30_000) -> float:
    """Click a button; returns milliseconds until something is shown."""
    return float(page.evaluate(TO_ELEMENT, [button, shown, within_ms]))


def ms_to_picture(page: "Page", start: str) -> float:
    """Click a clip's button; returns milliseconds until its first picture is on the screen."""
    return float(page.evaluate(TO_PICTURE, start))


def weight(page: "Page") -> dict[str, Any]:
    """Return how many files the page has loaded since it was opened, and their bytes."""
    found: dict[str, Any] = page.evaluate(WEIGHT)
    return found
