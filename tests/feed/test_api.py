"""The API keeps to its own description: what that allows is answered as it says, the rest is refused in one line."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.feed.schema import check
from tests.feed.site import Site


@pytest.fixture
def described(http: httpx.Client) -> dict[str, Any]:
    body: dict[str, Any] = http.get("/api/openapi.json").json()
    return body


def test_the_description_is_of_this_site(site: Site, described: dict[str, Any]) -> None:
    """OpenAPI 3.1, with the address at hand; every reference in it leads somewhere, every path is served."""
    assert described["openapi"] == "3.1.0"
    assert described["servers"] == [{"url": f"{site.url}/api"}]
    names = [operation["get"]["operationId"] for operation in described["paths"].values()]
    assert len(set(names)) == len(names) == 5
    for answer in (one for path in described["paths"].values() for one in path["get"]["responses"].values()):
        reference = answer["content"]["application/json"]["schema"]["$ref"]
        assert reference.rpartition("/")[2] in described["components"]["schemas"]


def fits(http: httpx.Client, described: dict[str, Any], path: str, address: str, query: dict[str, Any]) -> int:
    """Ask, check the answer against the description, and return the status."""
    answer = http.get(f"/api{address}", params=query)
    responses = described["paths"][path]["get"]["responses"]
    assert str(answer.status_code) in responses, (address, query, answer.status_code)
    assert answer.headers["content-type"] == "application/json"
    schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
    check(answer.json(), schema, described)
    return answer.status_code


def values(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """Values that a parameter's schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "date":
        return st.dates().map(str)
    if schema["type"] == "integer":
        most = schema.get("maximum", (1 << 63) - 1)
        return st.integers(schema.get("minimum", 0), most).map(str)
    return st.from_regex(schema["pattern"], fullmatch=True).map(lambda text: text.rstrip("\n"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_description_allows_is_answered_as_it_says(
    data: st.DataObject, http: httpx.Client, described: dict[str, Any]
) -> None:
    """Any values that the schemas allow get 200 or a refusal that has the described form; never a fault of ours."""
    parameters = {one["name"]: one["schema"] for one in described["paths"]["/requests"]["get"]["parameters"]}
    chosen = data.draw(st.sets(st.sampled_from(sorted(parameters)), max_size=3))
    query = {name: data.draw(values(parameters[name])) for name in chosen}
    status = fits(http, described, "/requests", "/requests", query)
    if chosen <= {"agency", "incident", "status", "before", "limit"}:
        assert status == 200


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["agency", "area", "cell", "since", "before", "limit", "status", "x"]) | st.text(min_size=1),
    value=st.text(min_size=1),
)
def test_any_other_value_is_refused_in_one_line(
    name: str, value: str, http: httpx.Client, described: dict[str, Any]
) -> None:
    """What is not understood is 400 with one clear line, and is never taken for something else."""
    answer = http.get("/api/requests", params={name: value})
    assert answer.status_code in {200, 400}
    check(
        answer.json(),
        described["components"]["schemas"]["RequestList" if answer.status_code == 200 else "Error"],
        described,
    )
    if answer.status_code == 400:
        assert "\n" not in answer.json()["error"]["message"]


def test_every_other_path_is_as_described(site: Site, http: httpx.Client, described: dict[str, Any]) -> None:
    """One request, agencies, one agency and the log; unknown ones are 404, parameters are refused."""
    for path, address, status in (
        ("/requests/{leaf}", f"/requests/{site.leaves[0]}", 200),
        ("/requests/{leaf}", "/requests/none", 404),
        ("/agencies", "/agencies", 200),
        ("/agencies/{agency}", "/agencies/springfield-pd", 200),
        ("/agencies/{agency}", "/agencies/transit-police", 200),
        ("/agencies/{agency}", "/agencies/nobody", 404),
        ("/log", "/log", 200),
    ):
        assert fits(http, described, path, address, {}) == status
        assert fits(http, described, path, address, {"verbose": "1"}) == 400


def test_numbers_agree_with_one_another(site: Site, http: httpx.Client) -> None:
    """What the lists hold adds up to what an agency's record and the log say."""
    asked = http.get("/api/requests?limit=100").json()
    assert len(asked["requests"]) == len(site.leaves) == 60
    assert asked["next"] is None
    assert asked["size"] == http.get("/api/log").json()["size"]
    agencies = http.get("/api/agencies").json()["agencies"]
    assert sum(one["asked"] for one in agencies) == 60
    for one in agencies:
        record = http.get(f"/api/agencies/{one['agency']}").json()
        mine = [request for request in asked["requests"] if request["agency"] == one["agency"]]
        assert record["asked"] == one["asked"] == len(mine)
        assert (
            record["by_status"].get("open", 0) == one["open"] == [request["status"] for request in mine].count("open")
        )
        assert sum(record["by_month"].values()) == sum(record["by_incident"].values()) == len(mine)
        assert record["mean_window_s"] > 3_600
