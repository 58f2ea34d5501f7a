"""tlog-mirror: a log that Go wrote is copied by our mirror, and Go and aics-tlog find the copy to be a log."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker.log.mirror.copied import Copy
from broker.log.mirror.mirror import LogMirror
from broker.log.mirror.notes import MirrorSigner
from broker.log.mirror.source import LogSource
from broker.log.mirror.store import MirrorStore
from broker.log.witness.store import WitnessStore
from broker.wire.notes import Checkpoint
from tests.oracle.golang import Oracle, RefusedError
from tests.oracle.serving import serving
from tests.oracle.support import AT_S, LOG_KEY, MIRROR, MIRROR_KEY, ORIGIN, entries_of, need_module, seed_of

pytestmark = pytest.mark.go

KEYS = [str(LOG_KEY), str(MIRROR_KEY)]


def lay_out(go: Oracle, folder: Path, size: int) -> None:
    """Have Go write a log of so many entries, checkpoint and all; what is there of a smaller one stays."""
    found = go.ask("build", entries=entries_of(size))
    for name, data in found["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    text = Checkpoint(ORIGIN, size, found["root"]).text
    note = go.ask("sign", text=text, name=ORIGIN, seed=seed_of("log"))["note"]
    (folder / "checkpoint").write_bytes(note)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder's files as they stand; yields its URL."""

    def file(request: Request) -> Response:
        path = folder / request.path_params["path"]
        return Response(path.read_bytes()) if path.is_file() else Response(status_code=404)

    with serving(Starlette(routes=[Route("/{path:path}", file)])) as url:
        yield url


@asynccontextmanager
async def mirror_of(url: str, folder: Path) -> AsyncIterator[LogMirror]:
    """Our mirror of the log below `url`; its copy is `folder / "copy"`."""
    signer, store, source = MirrorSigner(MIRROR_KEY.name, MIRROR), WitnessStore(folder), LogSource(url)
    files = MirrorStore(folder / "copy")
    mirror = LogMirror(
        origin=ORIGIN,
        logs={ORIGIN: [LOG_KEY]},
        copy=Copy(store=files, source=source, signer=signer, now_us=lambda: AT_S * 1_000_000),
        source=source,
        store=store,
        own=signer.verifier,
        now_us=lambda: AT_S * 1_000_000,
    )
    store.claim()
    try:
        mirror.open()
        yield mirror
    finally:
        store.release()
        await source.close()


async def test_a_copy_is_a_log_to_everybody(go: Oracle, tmp_path: Path) -> None:
    """As the log grows, every file of the copy is what the entries make, under both signatures."""
    peer = need_module("aics_tlog")
    log, copy = tmp_path / "log", tmp_path / "mirror/copy"
    with served(log) as url:
        for size in (1, 255, 257, 700):
            lay_out(go, log, size)
            async with mirror_of(url, tmp_path / "mirror") as mirror:
                assert await mirror.poll()
                assert await mirror.catch_up()
            found = go.ask("audit", dir=str(copy), keys=KEYS)
            assert (found["size"], found["names"]) == (size, [ORIGIN, MIRROR_KEY.name])
            assert peer.audit_tiles(peer.FileSystemTileReader(copy), size, found["root"]).size == size


@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/000", "tile/entries/001.p/44", "tile/1/000.p/1"])
async def test_no_damaged_log_is_vouched_for(go: Oracle, tmp_path: Path, name: str) -> None:
    """Where one bit of what the log serves is wrong, Go's audit fails, and our mirror serves nothing."""
    log = tmp_path / "log"
    lay_out(go, log, 300)
    data = bytearray((log / name).read_bytes())
    data[-1] ^= 1
    (log / name).write_bytes(data)
    with pytest.raises(RefusedError):
        go.ask("audit", dir=str(log), keys=[str(LOG_KEY)])
    with served(log) as url:
        async with mirror_of(url, tmp_path / "mirror") as mirror:
            await mirror.poll()
            await mirror.catch_up()
            assert mirror.copy.served is None
    assert not (tmp_path / "mirror/copy/checkpoint").exists()
