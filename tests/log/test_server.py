"""The log over HTTP: what goes in, what comes out, and what caches may keep."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from broker.log import FolderStorage, Sequencer, routes
from broker.log.service import LogService
from broker.wire.proofs import parse_policy, verify_proof
from broker.wire.tiles import decode_entries
from tests.log.support import (
    OPERATOR,
    ORIGIN,
    POLICY,
    Broker,
    Clock,
    CuttingStorage,
    admission,
    asked,
    key_of,
    leaf_of,
)

URL = "http://log.example.org"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    storage = FolderStorage(tmp_path)
    service = LogService(
        sequencer=Sequencer(storage, key=OPERATOR, origin=ORIGIN),
        operator=OPERATOR,
        publish=Broker().publish,
        now_us=Clock(),
        url=URL,
    )
    await service.start()
    app = Starlette(routes=routes(service, storage))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
        yield client
    await service.close()


async def post(client: httpx.AsyncClient, envelope: bytes) -> httpx.Response:
    return await client.post("/log/entries", content=envelope)


async def test_an_envelope_goes_in_and_its_proof_comes_out(client: httpx.AsyncClient) -> None:
    """201 with index, leaf and proof; 200 with the same for the same envelope; the proof is served by leaf, too."""
    await post(client, admission())
    first = await post(client, asked())
    assert first.status_code == 201
    body = first.json()
    assert (body["index"], body["leaf"]) == (1, leaf_of(asked()))
    assert verify_proof(asked(), body["proof"].encode(), POLICY)[0] == 1
    assert (await post(client, asked())).status_code == 200
    served = await client.get(f"/log/proof/{body['leaf']}")
    assert verify_proof(asked(), served.content, POLICY)[0] == 1
    assert (await client.get(f"/log/proof/{'0' * 64}")).status_code == 404
    assert (await client.get("/log/proof/nonsense")).status_code == 404


@pytest.mark.parametrize(
    ("envelope", "status", "code"),
    [
        (b"{}", 400, "malformed"),
        (asked(key=key_of("fire")), 403, "signature"),
        (asked(agency="shelbyville-pd"), 403, "unknown-agency"),
        (asked(retention_days=500), 422, "retention"),
        (b"x" * 65_536, 413, "too-large"),
        (b"", 400, "malformed"),
    ],
)
async def test_refusals_say_why(client: httpx.AsyncClient, envelope: bytes, status: int, code: str) -> None:
    """A refusal has a status, a stable code and a sentence."""
    await post(client, admission())
    answer = await post(client, envelope)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert answer.headers["cache-control"] == "no-store"


async def test_a_body_without_a_length_is_cut_off(client: httpx.AsyncClient) -> None:
    """A body that streams on and on is refused after one envelope's worth, not read to its end."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 1
            yield b"x" * 10_000

    answer = await client.post("/log/entries", content=endless())
    assert answer.status_code == 413
    assert sent < 20


async def test_files_are_served_as_tlog_tiles_names_them(client: httpx.AsyncClient) -> None:
    """Checkpoint, tiles and bundles have the specification's paths, types and caching."""
    await post(client, admission())
    await post(client, asked())
    checkpoint = await client.get("/log/checkpoint")
    assert POLICY.check(checkpoint.content).size == 2
    assert checkpoint.headers["cache-control"] == "public, max-age=2"
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
    bundle = await client.get("/log/tile/entries/000.p/2")
    assert decode_entries(bundle.content, width=2) == [admission(), asked()]
    assert bundle.headers["content-type"] == "application/octet-stream"
    assert "immutable" in bundle.headers["cache-control"]
    assert len((await client.get("/log/tile/0/000.p/2")).content) == 64
    assert (await client.head("/log/checkpoint")).status_code == 200


async def test_what_a_cache_has_it_need_not_fetch(client: httpx.AsyncClient) -> None:
    """Every file has a strong tag, and whoever names it is told that nothing changed; the checkpoint's changes."""
    await post(client, admission())
    paths = ["checkpoint", "policy", "tile/entries/000.p/1", "tile/0/000.p/1", f"proof/{leaf_of(admission())}"]
    tags = {path: (await client.get(f"/log/{path}")).headers["etag"] for path in paths}
    await post(client, asked())
    for path, tag in tags.items():
        answer = await client.get(f"/log/{path}", headers={"If-None-Match": f'"other", W/{tag}'})
        if path == "checkpoint" or path.startswith("proof"):
            assert (answer.status_code, answer.headers["etag"] == tag) == (200, False)
        else:
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
            assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("br, gzip;q=0.5", "gzip"), ("*", "gzip"), ("identity", None), ("gzip;q=0", None), ("", None)],
)
async def test_bundles_are_compressed_for_who_asks(
    client: httpx.AsyncClient, accepted: str, encoding: str | None
) -> None:
    """Entry bundles alone; the tag is another one, and what a cache may give to whom is said."""
    await post(client, admission())
    plain = await client.get("/log/tile/entries/000.p/1", headers={"Accept-Encoding": "identity"})
    answer = await client.get("/log/tile/entries/000.p/1", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert (answer.headers["etag"] == plain.headers["etag"]) == (encoding is None)
    assert decode_entries(answer.content, width=1) == [admission()]
    hashes = await client.get("/log/tile/0/000.p/1", headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in hashes.headers


@pytest.mark.parametrize(
    "path",
    ["tile/0/000", "tile/0/000.p/2", "tile/entries/000.p/2", "tile/0/00", "tile/0/000.p/0", "tile/1/000.p/1", ".lock",
     "tile/9/000", "tile/0/%2e%2e/000", "tile/0/x001/000", "tile/63/999.p/1", "", "tile/0/000.p/01"],
)  # fmt: skip
async def test_other_paths_are_not_served(client: httpx.AsyncClient, path: str) -> None:
    """What the checkpoint does not cover, and what is no tile, is not there and not cached."""
    await post(client, admission())
    answer = await client.get(f"/log/{path}")
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"


async def test_the_policy_names_this_log(client: httpx.AsyncClient) -> None:
    """The policy parses, and accepts what the log signs."""
    policy = parse_policy((await client.get("/log/policy")).text)
    assert policy.check((await client.get("/log/checkpoint")).content).origin == ORIGIN


async def test_staged_tiles_are_not_served(tmp_path: Path) -> None:
    """After a crash before the checkpoint, a staged tile lies on disk, and nobody can fetch it."""
    folder = FolderStorage(tmp_path)
    storage = CuttingStorage(folder, cut_at=5, done=False)  # two of the empty log, two tiles, then the power goes
    service = LogService(
        sequencer=Sequencer(storage, key=OPERATOR, origin=ORIGIN),
        operator=OPERATOR,
        publish=Broker().publish,
        now_us=Clock(),
    )
    await service.start()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(Starlette(routes=routes(service, folder))), base_url=URL
    ) as client:
        answer = await post(client, admission())
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert folder.get("tile/0/000.p/1") is not None
        assert (await client.get("/log/tile/0/000.p/1")).status_code == 404
        assert (await post(client, admission())).status_code == 201
        assert (await client.get("/log/tile/0/000.p/1")).status_code == 200
    await service.close()
