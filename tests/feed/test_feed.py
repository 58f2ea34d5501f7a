"""The public pages: everything that was asked, safely shown, and readable by programs as well."""

import asyncio
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from broker.feed import routes
from broker.log.service import LogService, Submitted
from broker.wire.merkle import leaf_hash
from broker.wire.rules import DAY_US, MINUTE_US
from tests.log.support import NOW_US, Clock, admission, asked, leaf_of, make_service, update

URL = "http://feed.example.org"
EVIL = "<script>alert(1)</script> \"><img src=x onerror=alert(2)> {{ 7*7 }} ' &amp;"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def service(tmp_path: Path, clock: Clock) -> AsyncIterator[LogService]:
    service = make_service(tmp_path, clock=clock, url=URL)
    await service.start()
    await logged(service, admission())
    yield service
    await service.close()


@pytest.fixture
async def client(service: LogService) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=routes(service)))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


async def logged(service: LogService, envelope: bytes) -> str:
    result = await service.submit(envelope)
    assert isinstance(result, Submitted), result
    return result.leaf


class Tags(HTMLParser):
    """The tags, attributes and text of a page; raises on tags that don't close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br", "img"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


async def page(client: httpx.AsyncClient, path: str, *, status: int = 200) -> Tags:
    answer = await client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Tags(answer.text)


async def test_an_empty_feed_says_so(client: httpx.AsyncClient) -> None:
    """Before the first request there is a page, and it says that nothing was asked."""
    assert "Nothing was asked yet." in (await page(client, "/")).text


async def test_requests_stand_newest_first(service: LogService, client: httpx.AsyncClient) -> None:
    """The newest request is on top, each with its agency, place, time and status."""
    await logged(service, asked(case="first", incident="arson"))
    await logged(service, asked(case="second", incident="hit-and-run"))
    shown = (await page(client, "/")).text
    assert shown.index("Hit and run") < shown.index("Arson")
    for piece in (
        "Springfield Police Department",
        "4 May 2026, 07:00 to 10:00 UTC",
        "52.51630° N",
        "open, 14 days left",
    ):
        assert piece in shown


async def test_what_an_agency_writes_is_text_everywhere(service: LogService, client: httpx.AsyncClient) -> None:
    """Markup in any field that an agency or the operator fills is shown, never interpreted."""
    await logged(service, admission("evil-pd", name=f"Evil {EVIL}", evidence=EVIL, admitted_by=EVIL))
    leaf = await logged(
        service,
        asked(agency="evil-pd", case=EVIL, description=EVIL, purpose=EVIL, sharing=(EVIL,)),
    )
    await logged(service, update(leaf, "resolved", agency="evil-pd", note=EVIL))
    for path in ("/", f"/requests/{leaf}", "/agencies/evil-pd"):
        shown = await page(client, path)
        names = {tag for tag, _ in shown.tags}
        assert not names & {"script", "img", "iframe", "style"}
        assert not any(name.startswith("on") or name == "style" for _, attrs in shown.tags for name in attrs)
        assert EVIL in shown.text


async def test_pages_forbid_script_and_strangers(service: LogService, client: httpx.AsyncClient) -> None:
    """Each answer carries a policy without script, frames or anything from elsewhere; no page asks for such."""
    leaf = await logged(service, asked())
    for path in ("/", f"/requests/{leaf}", "/agencies/springfield-pd", "/feed.json", "/style.css", "/requests/x"):
        answer = await client.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'")
        assert "script" not in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        if "html" in answer.headers["content-type"]:
            links = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
            assert all(link.startswith(("/", "mailto:")) for link in links), links


async def test_a_request_page_gives_what_is_needed_to_check_it(service: LogService, client: httpx.AsyncClient) -> None:
    """Terms, admission, hashes, keys and downloads; the download is the logged entry, byte for byte."""
    leaf = await logged(service, asked(sharing=("District attorney",)))
    shown = await page(client, f"/requests/{leaf}")
    for piece in (
        "A parcel was taken", "90 days", "District attorney", "detective@springfield.example.gov",
        "first post of this case", "letterhead", "300 m of", "0.283 km² (0.109 sq mi)", leaf, "Entry 1 of the log",
        str(service.log.verifier), f"curl -s {URL}/log/proof/{leaf}", "people by protected traits",
        "cameras and doorbells",
    ):  # fmt: skip
        assert piece in shown.text, piece
    envelope = (await client.get(f"/requests/{leaf}.dsse.json")).content
    assert envelope == asked(sharing=("District attorney",))
    assert leaf_hash(envelope).hex() == leaf
    for missing in ("/requests/x", f"/requests/{'0' * 64}", "/requests/x.dsse.json", f"/requests/{'0' * 64}.dsse.json"):
        assert "Not found" in (await page(client, missing, status=404)).text


async def test_the_shown_command_prints_the_leaf_hash(
    service: LogService, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """The first check on a request page works as it stands, with nothing but a shell."""
    leaf = await logged(service, asked())
    shown = (await page(client, f"/requests/{leaf}")).text
    (command,) = re.findall(r"^.*sha256sum$", shown, re.MULTILINE)
    (tmp_path / "request.dsse.json").write_bytes((await client.get(f"/requests/{leaf}.dsse.json")).content)
    done = await asyncio.create_subprocess_shell(command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE)
    printed, _ = await done.communicate()
    assert printed.decode().split()[0] == leaf


async def test_status_follows_the_log_and_the_clock(
    service: LogService, client: httpx.AsyncClient, clock: Clock
) -> None:
    """A withdrawal is shown with its reason; an expired request says that it has expired."""
    withdrawn = await logged(service, asked(case="one"))
    other = await logged(service, asked(case="two", expires_at=NOW_US + DAY_US - MINUTE_US))
    await logged(service, update(withdrawn, note="It was found."))
    assert "It was found." in (await page(client, f"/requests/{withdrawn}")).text
    assert "ends within a day" in (await page(client, f"/requests/{other}")).text
    clock.now_us += 2 * DAY_US
    assert "expired" in (await page(client, f"/requests/{other}")).text
    index = (await page(client, "/")).text
    assert "withdrawn" in index
    assert "expired" in index


async def test_an_agency_has_a_record(service: LogService, client: httpx.AsyncClient) -> None:
    """How often it asked, withdrew and was refused, how widely, and who admitted it, key by key."""
    leaf = await logged(service, asked(case="one"))
    await logged(service, asked(case="two"))
    await logged(service, update(leaf))
    await service.submit(asked(case="three", retention_days=1_000))
    await logged(service, admission(now_us=NOW_US, evidence="rotated in person"))
    shown = await page(client, "/agencies/springfield-pd")
    figures = re.findall(r"\n(asked|open|resolved|withdrawn|refused)(\d+)", "\n" + shown.text.replace(" ", ""))
    assert dict(figures) == {"asked": "2", "open": "1", "resolved": "0", "withdrawn": "1", "refused": "1"}
    for piece in ("rotated in person", "letterhead", "3 hours", "The neighbourhood operator"):
        assert piece in shown.text
    assert "admits no agency" in (await page(client, "/agencies/nobody", status=404)).text


@pytest.mark.slow
async def test_older_requests_are_a_page_away(service: LogService, client: httpx.AsyncClient) -> None:
    """Pages follow one another without a gap or a repetition, also while new requests arrive; so does the JSON feed."""
    leaves = [await logged(service, asked(case=f"case {number}")) for number in range(65)]
    path, found = "/", []
    while path:
        shown = await page(client, path)
        found += [attrs["href"] for tag, attrs in shown.tags if tag == "a" and "/requests/" in (attrs["href"] or "")]
        older = [attrs["href"] for tag, attrs in shown.tags if tag == "a" and attrs.get("rel") == "next"]
        path = older[0] or "" if older else ""
        await logged(service, asked(case=f"late {len(found)}"))
    assert found == [f"/requests/{leaf}" for leaf in reversed(leaves)]
    feed = (await client.get("/feed.json")).json()
    assert len(feed["items"]) == 30
    assert (await client.get(feed["next_url"])).json()["items"][0]["id"] not in {one["id"] for one in feed["items"]}
    assert "There are no older requests" in (await page(client, "/?before=0")).text
    for odd in ("-1", "x", "01", "9" * 40, ""):
        assert "Package theft" in (await page(client, f"/?before={odd}")).text


async def test_the_json_feed_is_one(service: LogService, client: httpx.AsyncClient) -> None:
    """What JSON Feed 1.1 requires is there; ids are leaf hashes; addresses are absolute."""
    leaf = await logged(service, asked(description=EVIL))
    await logged(service, update(leaf, "resolved", now_us=NOW_US + MINUTE_US))
    answer = await client.get("/feed.json")
    assert answer.headers["content-type"].startswith("application/feed+json")
    feed = answer.json()
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == f"{URL}/feed.json"
    (item,) = feed["items"]
    assert (item["id"], item["url"], item["content_text"]) == (leaf, f"{URL}/requests/{leaf}", EVIL)
    assert item["date_published"] == "2026-05-04T12:00:00.000000Z"
    assert item["date_modified"] == "2026-05-04T12:01:00.000000Z"
    assert item["tags"] == ["package theft", "resolved"]


async def test_an_unchanged_page_is_not_sent_again(service: LogService, client: httpx.AsyncClient) -> None:
    """A reader that names the tag it has gets 304, until something changes."""
    leaf = await logged(service, asked())
    for path in ("/", f"/requests/{leaf}", "/feed.json", "/style.css"):
        tag = (await client.get(path)).headers["etag"]
        again = await client.get(path, headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    tag = (await client.get("/")).headers["etag"]
    await logged(service, asked(case="another"))
    assert (await client.get("/", headers={"If-None-Match": tag})).status_code == 200


@pytest.mark.usefixtures("service")
async def test_an_entry_of_another_kind_is_no_request(client: httpx.AsyncClient) -> None:
    """An agency's record has no request page, but can be downloaded to be checked."""
    leaf = leaf_of(admission())
    await page(client, f"/requests/{leaf}", status=404)
    assert (await client.get(f"/requests/{leaf}.dsse.json")).content == admission()
