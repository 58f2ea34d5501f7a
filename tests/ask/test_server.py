"""The page over HTTP, without script: it answers a form, keeps nothing, and takes nothing that is no form of it."""

import base64
import contextlib
import re
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ask.form import MAX_BODY_BYTES, FormError, parse_form
from broker.log.history.book import Book
from broker.wire.encoding import format_time
from broker.wire.records import Request
from tests.agency.support import NOW_US, key_of, make_request
from tests.ask.support import FORM, Page, a_book, app, encoded

FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
BROKEN = re.compile(r'<tr class="broken" data-rule="([a-z-]+)"')
DAY_US = 86_400_000_000


async def ask(
    body: bytes | None = None, *, book: Book | None = None, path: str = "", kind: dict[str, str] | None = None
) -> httpx.Response:
    transport = httpx.ASGITransport(app(book))
    async with httpx.AsyncClient(transport=transport, base_url="http://hood.example") as client:
        if body is None:
            return await client.get(path or "/ask")
        return await client.post(path or "/ask/check", content=body, headers=kind or FORM_TYPE)


def changed(**fields: str | list[str]) -> bytes:
    return encoded(FORM | fields)


async def test_the_empty_form() -> None:
    """Every field of the form is there, with the agencies that the log admits."""
    page = (await ask()).text
    for name in FORM:
        assert f'name="{name}"' in page, name
    assert page.count("Northtown Police") == 1
    assert "Check, and make the command" in page


async def test_nothing_is_set_and_little_may_run() -> None:
    """No cookie; no script but the page's own file, no string that becomes code, no form but to here, no frame."""
    for answer in (await ask(), await ask(changed())):
        policy = answer.headers["content-security-policy"]
        for part in ("default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'",
                     "trusted-types 'none'", "form-action 'self'", "frame-ancestors 'none'",
                     "base-uri 'none'"):  # fmt: skip
            assert part in policy
        assert "unsafe" not in policy
        assert "set-cookie" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?! type=\"module\" src=)|\son[a-z]+=|\sstyle=|javascript:", answer.text)
        assert not re.search(r"(?:src|action)=\"(?:https?:)?//", answer.text)


async def test_the_answer_alone_leads_to_the_form() -> None:
    """Who opens the answer's address again has no form to be answered, and gets an empty one."""
    answer = await ask(path="/ask/check")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ask")


async def test_assets_never_change() -> None:
    """Script and style have names of their content, and may be kept for ever."""
    page = (await ask()).text
    paths = re.findall(r"\"(/ask/ask\.[0-9a-f]{16}\.(?:js|css))\"", page)
    assert len(paths) == 2
    for path in paths:
        answer = await ask(path=path)
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith(("text/javascript", "text/css"))
    assert (await ask(path="/ask/ask.js")).status_code == 404


async def test_a_request_that_keeps_every_rule() -> None:
    """The table, what the public will read, the file to save and the command to run, all of one form."""
    answer = await ask(changed(folder="my agency's"))
    page = Page(answer.text)
    assert answer.status_code == 200
    assert page.texts["command"] == "latchstring agency post request-26-001234.toml '--dir=my agency'\"'\"'s'"
    (saved,) = [link for link in page.links if "download" in link]
    assert saved["download"] == "request-26-001234.toml"
    toml = base64.b64decode(str(saved["href"]).removeprefix("data:application/toml;base64,")).decode()
    assert toml == page.texts["toml"]
    assert "Every rule is kept" in answer.text
    assert answer.text.count('class="kept"') == 15
    assert "28 May 2026, 17:00 to 18:30 UTC (1 hour 30 minutes)" in answer.text


async def test_broken_rules() -> None:
    """All that is broken is listed, with the limit, and nothing is handed out."""
    answer = await ask(
        changed(end="2026-05-30T19:00", radius_m="1000", excludes=["profiling"], contact="me@mail.example")
    )
    assert answer.status_code == 200
    broken = set(re.findall(r'<tr class="broken" data-rule="([a-z-]+)"', answer.text))
    assert broken == {"window", "window-past", "area", "excludes", "contact"}
    assert "5 rules are broken" in answer.text
    assert 'id="command"' not in answer.text
    assert "What the public will read" in answer.text


async def test_mistakes() -> None:
    """Every mistake is listed with a link to its field, which says it too; what was typed stays."""
    answer = await ask(
        changed(agency="", case="", at="here", start="2026-05-28T19:00", zone="Berlin", retention_days="x", folder="")
    )
    assert answer.status_code == 422
    page = Page(answer.text)
    fields = [str(link["href"]) for link in page.links if str(link["href"]).startswith("#") and link["href"] != "#main"]
    assert sorted(fields) == ["#agency", "#at", "#case", "#folder", "#retention_days", "#zone"]
    for field in fields:
        assert page.texts[f"fault-{field[1:]}"]
        assert f'id="{field[1:]}"' in answer.text
    assert 'value="here"' in answer.text
    assert "did you mean Europe/Berlin?" in page.texts["fault-zone"]


async def test_the_zone_is_asked_for() -> None:
    """Without script no zone is taken for granted: it is empty, required, and the one thing to mend if left so."""
    page = (await ask()).text
    assert re.search(r'id="zone" name="zone" type="text" value="" required', page)
    answer = await ask(changed(zone=""))
    assert answer.status_code == 422
    links = re.findall(r'<li><a href="#([a-z_]+)">', answer.text)
    assert links == ["zone"]
    assert 'id="command"' not in answer.text


async def test_the_window_in_both_zones() -> None:
    """The result tells the window by the clocks of the zone and in UTC."""
    told = Page((await ask(changed())).text).texts["window"]
    assert "28 May 2026, 19:00 to 20:30 Europe/Berlin, which is 28 May 2026, 17:00 to 18:30 UTC" in told
    late = Page((await ask(changed(start="2026-05-28T23:30", end="2026-05-29T00:30"))).text).texts["window"]
    assert "28 May 2026, 23:30 to 29 May 2026, 00:30 Europe/Berlin, which is 28 May 2026, 21:30 to 22:30 UTC" in late


async def test_the_logs_history_counts() -> None:
    """A case that was posted twice is told before anybody signs."""
    book = a_book()
    for number in range(2):
        request = make_request("age1" + "q" * 58, case="26-001234").model_copy(update={"posted_at": NOW_US - number})
        book.apply(book.size, Request.model_validate(request.model_dump()).sign(key_of("Northtown")))
    assert "posts-per-case" in re.findall(
        r'<tr class="broken" data-rule="([a-z-]+)"', (await ask(changed(), book=book)).text
    )


async def test_nobody_admitted() -> None:
    """A log without agencies says how one begins."""
    assert "latchstring agency init" in (await ask(book=Book())).text
    assert (await ask(changed(), book=Book())).status_code == 422


MARKED = "\"><script>x</script>'&"


async def test_what_is_typed_is_text() -> None:
    """Markup in any field comes back as the text that it is."""
    for field in FORM:
        answer = await ask(changed(**{field: [MARKED] if isinstance(FORM[field], list) else MARKED}))
        assert answer.status_code in {200, 422}
        assert "<script>x" not in answer.text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"case", FORM_TYPE),
        (b"case=1&case=2", FORM_TYPE),
        (b"surprise=1", FORM_TYPE),
        (b"case=%ff", FORM_TYPE),
        ("case=é".encode(), FORM_TYPE),
        (b"case=1&" * 200, FORM_TYPE),
        (b"case=" + b"x" * MAX_BODY_BYTES, FORM_TYPE),
        (b'{"case": "1"}', {"Content-Type": "application/json"}),
        (encoded(FORM), {"Content-Type": "text/plain"}),
    ],
)
async def test_what_is_no_form(body: bytes, kind: dict[str, str]) -> None:
    """Unknown and repeated fields, other encodings, and what is too large are refused in a line."""
    answer = await ask(body, kind=kind)
    assert answer.status_code == 400
    assert len(answer.text.strip().splitlines()) == 1
    assert "<" not in answer.text


@given(st.binary(max_size=300))
def test_noise(body: bytes) -> None:
    """Noise is a form, or refused as none; never a crash."""
    for sent in (body, quote(body).encode(), b"case=" + quote(body).encode()):
        with contextlib.suppress(FormError):
            parse_form(sent)


@given(
    st.sampled_from([name for name in FORM if isinstance(FORM[name], str)]),
    st.text(max_size=40)
    | st.sampled_from(["\x00", "9" * 400, "1e999", "nan", "-1", "٣", "1_0", " 5 ", "0x10", "2026-05-28T19:00"]),
)
async def test_any_value_in_any_field(field: str, text: str) -> None:
    """Whatever stands in a field, the page comes back: with a mistake told, a rule broken, or all kept."""
    try:
        body = changed(**{field: text})
    except UnicodeEncodeError:  # a lone surrogate, which no form sends
        return
    answer = await ask(body)
    assert answer.status_code in {200, 422}
    assert answer.text.rstrip().endswith("</html>")


async def test_times_of_a_past_that_is_too_far() -> None:
    """The look back is counted from now."""
    old = format_time(NOW_US - 46 * DAY_US)[:16]
    end = format_time(NOW_US - 46 * DAY_US + 3_600_000_000)[:16]
    answer = await ask(changed(start=old, end=end, zone="UTC"))
    assert BROKEN.findall(answer.text) == ["look-back"]
