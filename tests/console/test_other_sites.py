"""What another site can do with an owner's browser, a second port of this machine included: nothing."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.console.browsing import REBOUND
from tests.console.client import Client
from tests.console.elsewhere import Elsewhere
from tests.console.serving import Console
from tests.neighbourhood.support import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.xdist_group("console"), pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(90),
]  # fmt: skip

# Each gives "blocked" where nothing came of it, or what it got.
FETCHES = """
async ([console, media, token]) => {
  const settled = async (promise) => { try { return await promise; } catch { return "blocked"; } };
  const read = async (path, how) => settled(fetch(console + path, how).then(
    async (answer) => answer.type === "opaque" ? "blocked" : `${answer.status}: ${await answer.text()}`));
  const loaded = (tag, fields) => new Promise((done) => {
    const one = document.createElement(tag);
    one.onload = one.onloadeddata = () => done(`loaded ${tag}`);
    one.onerror = () => done("blocked");
    Object.assign(one, fields);
    document.body.append(one);
  });
  const listened = (one) => new Promise((done) => {
    one.onopen = one.onmessage = () => done("listened");
    one.onerror = () => { one.close(); done("blocked"); };
  });
  const json = {"Content-Type": "application/json"};
  const known = {...json, "Authorization": `Bearer ${token}`};
  return {
    state: await read("/api/state", {}),
    "state with a token": await read("/api/state", {headers: known}),
    "state, opaque": await read("/api/state", {mode: "no-cors", credentials: "include"}),
    lock: await read("/api/lock", {method: "POST", headers: known, body: "{}"}),
    "lock as text": await read("/api/lock", {method: "POST", mode: "no-cors", body: "{}"}),
    "lock as a beacon": navigator.sendBeacon(console + "/api/lock", new Blob(["{}"])) ? "blocked" : "not sent",
    media: await read(media, {}),
    script: await loaded("script", {src: console + "/static/main.js"}),
    module: await settled(import(console + "/static/main.js").then(() => "imported")),
    style: await loaded("link", {rel: "stylesheet", href: console + "/static/style.css"}),
    picture: await loaded("img", {src: console + media}),
    film: await loaded("video", {src: console + media, preload: "auto", muted: true}),
    object: await loaded("object", {data: console + media, type: "video/mp4"}),
    events: await listened(new EventSource(console + "/api/stream")),
    socket: await listened(new WebSocket(console.replace("http", "ws") + "/api/stream")),
  };
}
"""


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_another_port_of_this_machine_reaches_nothing(
    client: Client, media: str, chromium: "Browser", other_site: Elsewhere, name: str
) -> None:
    """Fetch, script, picture, film, stream: refused, though it has a session's token and a film's address."""
    page = chromium.new_page()
    page.goto(other_site.origin.replace("localhost", name))
    found = page.evaluate(FETCHES, [client.origin, media, client.token])
    assert set(found.values()) == {"blocked"}, found
    assert client.state()["locked"] is False
    page.close()


def test_a_rebound_name_reaches_nothing(client: Client, media: str, chromium: "Browser") -> None:
    """A page under a name that leads to this machine by now has the console's own origin, and still gets 421."""
    page = chromium.new_page()
    answer = page.goto(f"http://{REBOUND}:{client.port}/")
    assert answer is not None
    assert answer.status == 421
    tried: dict[str, int] = page.evaluate(
        """async ([media, token]) => {
          const found = {};
          const known = {"Content-Type": "application/json", "Authorization": `Bearer ${token}`};
          for (const path of ["/", "/api/state", "/static/main.js", media])
            found[path] = (await fetch(path, {headers: known})).status;
          found.lock = (await fetch("/api/lock", {method: "POST", headers: known, body: "{}"})).status;
          return found;
        }""",
        [media, client.token],
    )
    assert set(tried.values()) == {421}
    assert client.state()["locked"] is False
    page.close()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_of_another_site_does_nothing(
    console: Console, client: Client, chromium: "Browser", other_site: Elsewhere, kind: str
) -> None:
    """A form that sends itself, to lock or to switch filming off, is refused, and shows no more than that."""
    before = client.get("/api/home")
    for call, body in (("lock", '{"x":"='), ("privacy", '{"device":"porch","on":true,"x":"=')):
        other_site.pages["/"] = (
            f"<!doctype html><form method=post enctype={kind} action={console.origin}/api/{call}>"
            f"<input name='{body}' value='\"}}'></form><script>document.forms[0].submit()</script>"
        )
        page = chromium.new_page()
        with page.expect_response(f"{console.origin}/api/{call}") as answered:
            page.goto(other_site.origin)
        assert answered.value.status == 403
        page.close()
    assert client.state()["locked"] is False
    assert _privacy(client.get("/api/home")) == _privacy(before)


@pytest.mark.parametrize("element", ["iframe", "object", "embed", "frame"])
def test_it_can_not_be_framed(console: Console, chromium: "Browser", other_site: Elsewhere, element: str) -> None:
    """No other page can show it within itself, and lead a click astray."""
    source = "data" if element == "object" else "src"
    inside = f"<{element} {source}='{console.origin}/' width=800 height=600></{element}>"
    other_site.pages["/"] = f"<!doctype html>{inside}" if element != "frame" else f"<frameset>{inside}</frameset>"
    page = chromium.new_page()
    with page.expect_response(lambda answer: answer.url == f"{console.origin}/") as asked:
        page.goto(other_site.origin, wait_until="load")
    assert asked.value.status == 403
    page.wait_for_timeout(300)
    for frame in page.frames[1:]:
        assert frame.url.startswith("chrome-error:")
    page.close()


def test_who_opens_it_has_no_hold_on_it(console: Console, chromium: "Browser", other_site: Elsewhere) -> None:
    """A window that another site opened with the console in it is out of that site's reach, and the site out of its."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(other_site.origin)
    with context.expect_page() as opened:
        page.evaluate("(console) => { window.held = window.open(console); }", console.link())
    shown = opened.value
    shown.wait_for_load_state()
    assert shown.evaluate("window.opener") is None
    assert page.evaluate("window.held.closed") is True
    with pytest.raises(Exception, match=r"cross-origin|Blocked|SecurityError|null"):
        page.evaluate("window.held.document.title")
    context.close()


def test_the_site_that_comes_after_it_learns_nothing(
    console: Console, chromium: "Browser", other_site: Elsewhere
) -> None:
    """On another port, in the same tab: no referrer, no cookie, no session, no link in the history to go back to."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(console.link())
    wait_for(lambda: page.evaluate("sessionStorage.length") > 0, "the session begins")
    assert "#open" not in page.url
    page.goto(other_site.origin)
    kept = page.evaluate("[document.referrer, document.cookie, sessionStorage.length, localStorage.length, name]")
    assert kept == ["", "", 0, 0, ""]
    assert context.cookies() == []
    for _, _, headers, _ in other_site.asked:
        assert not {"cookie", "authorization"} & set(headers)
        assert str(console.port) not in headers.get("referer", "")
    page.go_back()
    assert "#open" not in page.url
    context.close()


def _privacy(home: dict[str, Any]) -> list[bool]:
    return [one["privacy"] for one in home["devices"]]
