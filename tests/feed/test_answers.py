"""What caches are told: strong tags, conditions, compression, and how long to keep what."""

import gzip
import hashlib

import httpx
import pytest

from tests.feed.site import Site


def paths(site: Site) -> list[str]:
    leaf = site.leaves[0]
    pages = ["/", f"/requests/{leaf}", "/agencies", "/agencies/springfield-pd", "/log", "/about", "/style.css"]
    feeds = ["/feed.atom", "/feed.json", "/feed.geojson", "/api/requests", "/api/openapi.json"]
    return [*pages, *feeds, f"/requests/{leaf}.geojson", f"/entries/{leaf}.dsse.json"]


def test_an_unchanged_answer_is_not_sent_again(site: Site, http: httpx.Client) -> None:
    """Who names the tag that it has gets 304 and no body, among other tags or weakened on the way."""
    for path in paths(site):
        tag = http.get(path).headers["etag"]
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            again = http.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert http.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_tag_is_of_the_content_and_its_encoding(site: Site, http: httpx.Client) -> None:
    """Compressed and plain have tags of their own, and the same bytes the same tag."""
    for path in ("/", "/feed.atom", f"/requests/{site.leaves[1]}", "/style.css"):
        plain = http.get(path, headers={"Accept-Encoding": "identity"})
        packed = http.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content
        assert packed.headers["etag"] != plain.headers["etag"]
        assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
        assert hashlib.sha256(plain.content).hexdigest()[:32] in plain.headers["etag"]
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
        assert http.get(path, headers={"Accept-Encoding": "gzip;q=0"}).headers["etag"] == plain.headers["etag"]


def test_compressed_bytes_are_always_the_same(http: httpx.Client) -> None:
    """A strong tag promises it: nothing of the hour or the machine is in them."""
    with http.stream("GET", "/about", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert raw[4:8] == bytes(4)
    assert gzip.decompress(raw) == http.get("/about").content


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_head_is_get_without_the_body(site: Site, http: httpx.Client, encoding: str) -> None:
    """Every header is the same."""
    for path in paths(site):
        headers = {"Accept-Encoding": encoding}
        got, asked = http.get(path, headers=headers), http.head(path, headers=headers)
        assert (asked.status_code, asked.content) == (200, b"")
        assert {name: value for name, value in asked.headers.items() if name != "date"} == {
            name: value for name, value in got.headers.items() if name != "date"
        }


def test_everything_may_be_carried_by_a_cache(site: Site, http: httpx.Client) -> None:
    """All of it is public; pages are kept for seconds and served while they are fetched again."""
    for path in paths(site):
        keep = http.get(path).headers["cache-control"]
        assert keep.startswith("public, max-age=")
        assert "stale-while-revalidate" in keep or "immutable" in keep
        assert "set-cookie" not in http.get(path).headers


def test_what_has_its_hash_in_its_name_is_kept_for_good(site: Site, http: httpx.Client) -> None:
    """Envelopes and static files never change under their names; the page names the style by its hash."""
    leaf = site.leaves[0]
    style = http.get("/").text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    for path in (f"/entries/{leaf}.dsse.json", style):
        assert http.get(path).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert hashlib.sha256(http.get(style).content).hexdigest()[:16] in style
    assert http.get("/static/style.css").headers["cache-control"].startswith("public, max-age=15")
    assert http.get("/static/style.0000000000000000.css").status_code == 404


def test_what_is_not_there_is_kept_for_a_moment_only(http: httpx.Client) -> None:
    """It may come."""
    for path in (
        f"/requests/{'0' * 64}",
        f"/entries/{'0' * 64}.dsse.json",
        f"/api/requests/{'0' * 64}",
        "/agencies/none",
    ):
        answer = http.get(path)
        assert answer.status_code == 404
        assert answer.headers["cache-control"] == "public, max-age=5"


def test_an_entry_says_when_it_was_made(site: Site, http: httpx.Client) -> None:
    """Last-Modified is its own time, and a reader that has it from then gets 304."""
    path = f"/entries/{site.leaves[0]}.dsse.json"
    at = http.get(path).headers["last-modified"]
    assert at == "Mon, 04 May 2026 07:59:00 GMT"
    assert http.get(path, headers={"If-Modified-Since": at}).status_code == 304
    for other in ("Mon, 04 May 2026 07:58:59 GMT", "yesterday", ""):
        assert http.get(path, headers={"If-Modified-Since": other}).status_code == 200
    assert http.get(path, headers={"If-Modified-Since": at, "If-None-Match": '"other"'}).status_code == 200


def test_only_what_programs_read_may_be_read_by_other_sites(site: Site, http: httpx.Client) -> None:
    """Feeds, entries and the API are open to scripts of any site; pages are not for them."""
    for path in paths(site):
        open_to_all = path.startswith(("/feed", "/api", "/entries")) or path.endswith(".geojson")
        assert ("access-control-allow-origin" in http.get(path).headers) == open_to_all


def test_nothing_but_reading_is_answered(http: httpx.Client) -> None:
    """No page takes a POST."""
    assert http.post("/").status_code == 405
    assert http.delete("/api/requests").status_code == 405
