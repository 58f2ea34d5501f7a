"""A stranger's check of a whole log finds whatever its operator did to it."""

import itertools
import shutil
from pathlib import Path

import httpx
import pytest

from broker.log.errors import LogReadError
from broker.log.readers import ANSWER_S, folder_reader, http_reader
from broker.log.report import LogReport
from broker.log.sequencer import Sequencer
from broker.log.storage.folder import FolderStorage
from broker.log.verify import verify_log
from broker.wire.envelopes import public_bytes
from broker.wire.notes import Checkpoint, parse_checkpoint, parse_note, sign_note
from broker.wire.rules import DAY_US, MINUTE_US, Limits
from tests.log.support import NOW_US, OPERATOR, ORIGIN, POLICY, admission, asked, key_of, leaf_of, update

SIZE = 262
FIRST = asked(case="case 0", description="Seen by nobody.")


def write_log(folder: Path, entries: list[bytes], *, batch: int = 100) -> Path:
    """A log of these entries, intake or not."""
    sequencer = Sequencer(FolderStorage(folder), key=OPERATOR, origin=ORIGIN)
    sequencer.open()
    for at in range(0, len(entries), batch):
        sequencer.append(entries[at : at + batch])
    sequencer.publish(sequencer.head_note)
    sequencer.close()
    return folder


def honest_entries() -> list[bytes]:
    later = [asked(case=f"case {number}", now_us=NOW_US + number) for number in range(1, SIZE - 2)]
    return [admission(), FIRST, *later, update(leaf_of(FIRST), now_us=NOW_US + MINUTE_US)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("honest") / "log", honest_entries())


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of an honest log, to be tampered with."""
    return Path(shutil.copytree(written, tmp_path / "log"))


LIMITS = Limits(open_per_agency=1_000, posts_per_day=1_000)


def verified(folder: Path, **more: bytes) -> LogReport:
    return verify_log(
        folder_reader(folder),
        POLICY,
        operator_key=public_bytes(OPERATOR),
        limits=LIMITS,
        old_checkpoint=more.get("old_checkpoint"),
    )


def codes(report: LogReport) -> set[str]:
    return {finding.code for finding in report.findings}


def resign(folder: Path, *, size: int = SIZE, root: bytes | None = None, key: str = "operator") -> None:
    """Let the holder of a key sign another checkpoint."""
    old = parse_checkpoint(parse_note((folder / "checkpoint").read_bytes()).text)
    text = Checkpoint(ORIGIN, size, old.root if root is None else root).text
    (folder / "checkpoint").write_bytes(str(sign_note(text, ORIGIN, key_of(key))).encode())


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def test_an_honest_log_has_nothing_wrong(folder: Path) -> None:
    """Every entry is counted, and the text says that nothing is wrong."""
    report = verified(folder)
    assert report.ok, report.to_text()
    assert dict(report.counts) == {"agency": 1, "request": SIZE - 2, "update": 1, "bundles": 2, "tiles": 3}
    assert report.to_text().endswith("nothing wrong")
    assert report.to_json()["ok"] is True
    assert report.to_json()["size"] == SIZE


def test_progress_is_told(folder: Path) -> None:
    """A long check says how far it is."""
    steps: list[tuple[int, int]] = []
    verify_log(
        folder_reader(folder),
        POLICY,
        operator_key=public_bytes(OPERATOR),
        progress=lambda done, size: steps.append((done, size)),
    )
    assert steps == [(256, SIZE), (SIZE, SIZE)]


@pytest.mark.parametrize("at", [40, 70_000])
def test_an_edited_entry_is_found(folder: Path, at: int) -> None:
    """A changed byte in a logged envelope contradicts the hashes, and the entry is named."""
    flip(folder / "tile/entries/000", at)
    report = verified(folder)
    assert "tile" in codes(report)
    assert "root" in codes(report)
    assert any("does not hash to what stands here" in finding.message for finding in report.findings)


def test_an_edit_with_its_hash_fixed_is_found(folder: Path, tmp_path: Path) -> None:
    """Whoever edits an entry and recomputes the tiles still does not get the root that was signed."""
    entries = honest_entries()
    entries[1] = asked(case="case 0", description="Seen by everybody.")
    edited = write_log(tmp_path / "edited", entries)
    (edited / "checkpoint").write_bytes((folder / "checkpoint").read_bytes())
    assert "root" in codes(verified(edited))


@pytest.mark.slow
def test_a_fork_is_found_with_an_old_checkpoint(folder: Path, tmp_path: Path) -> None:
    """A log that signs a new history passes by itself; whoever kept a checkpoint of the old one sees it."""
    entries = honest_entries()
    entries[5] = asked(case="case 4", description="Another story.", now_us=NOW_US + 4)
    forked = write_log(tmp_path / "forked", [*entries, asked(case="more", now_us=NOW_US + MINUTE_US)])
    old = (folder / "checkpoint").read_bytes()
    assert verified(forked).ok
    assert codes(verified(forked, old_checkpoint=old)) == {"fork"}
    grown = write_log(tmp_path / "grown", [*honest_entries(), asked(case="more", now_us=NOW_US + MINUTE_US)])
    assert verified(grown, old_checkpoint=old).ok
    rolled_back = write_log(tmp_path / "short", honest_entries()[:200])
    assert codes(verified(rolled_back, old_checkpoint=old)) == {"fork"}


def test_an_admission_dated_ahead_is_found(tmp_path: Path) -> None:
    """What is logged after it says an earlier time: the operator signed a record for later."""
    ahead = admission("shelbyville-pd", now_us=NOW_US + 400 * DAY_US)
    folder = write_log(tmp_path / "log", [admission(), ahead, asked()])
    assert codes(verified(folder)) == {"backdated"}


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001.p/6", "tile/1/000.p/1", "tile/entries/000"])
def test_a_dropped_file_is_found(folder: Path, path: str) -> None:
    """A missing tile is named; entries whose bundle is gone are not taken for good."""
    (folder / path).unlink()
    report = verified(folder)
    assert [finding.where for finding in report.findings if finding.code == "missing"] == [path]


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001.p/6", "tile/1/000.p/1"])
def test_a_flipped_hash_is_found(folder: Path, path: str) -> None:
    """A hash tile that does not follow from below is named."""
    flip(folder / path, 33 if path != "tile/1/000.p/1" else 3)
    assert [finding.where for finding in verified(folder).findings if finding.code == "tile"] == [path]


@pytest.mark.slow
def test_a_short_or_garbled_file_is_found(folder: Path) -> None:
    """Files of the wrong length are findings, not crashes."""
    (folder / "tile/0/000").write_bytes(b"\0" * 31)
    (folder / "tile/entries/001.p/6").write_bytes(b"\xff\xff\0")
    assert {"tile", "bundle"} <= codes(verified(folder))
    (folder / "tile/entries/000").write_bytes(b"\0" * 17_000_000)
    assert "missing" in codes(verified(folder))


@pytest.mark.slow
def test_a_forged_checkpoint_is_found(folder: Path) -> None:
    """A checkpoint by another key, another root or another size does not pass."""
    honest = (folder / "checkpoint").read_bytes()
    resign(folder, key="somebody")
    assert codes(verified(folder)) == {"checkpoint"}
    resign(folder, root=b"\1" * 32)
    assert codes(verified(folder)) == {"root"}
    (folder / "checkpoint").write_bytes(honest)
    resign(folder, size=SIZE - 1)
    assert "root" in codes(verified(folder))
    (folder / "checkpoint").write_bytes(honest.replace(b"262", b"263"))
    assert codes(verified(folder)) == {"checkpoint"}
    (folder / "checkpoint").unlink()
    report = verified(folder)
    assert codes(report) == {"checkpoint"}
    assert "do not trust this log" in report.to_text()


def test_what_intake_should_have_refused_is_found(tmp_path: Path) -> None:
    """Requests that break a rule, wrong keys, third posts, duplicates, backdating and junk are findings by name."""
    folder = write_log(
        tmp_path / "lax",
        [
            admission(),
            FIRST,
            asked(case="wide", area={"lat_e7": 0, "lon_e7": 0, "radius_m": 5_000}),
            asked(case="stranger", key=key_of("fire")),
            admission("shelbyville-pd", key=key_of("fire")),
            asked(case="unknown", agency="shelbyville-pd"),
            FIRST,
            b"junk",
            asked(case="case 0", description="Twice."),
            asked(case="case 0", description="Thrice."),
            asked(case="yesterday", now_us=NOW_US - DAY_US),
            update("0" * 64),
        ],
    )
    report = verified(folder)
    assert [(finding.where, finding.code) for finding in report.findings] == [
        ("entry 2", "area"),
        ("entry 3", "signature"),
        ("entry 4", "signature"),
        ("entry 5", "unknown-agency"),
        ("entry 6", "duplicate"),
        ("entry 7", "malformed"),
        ("entry 9", "posts-per-case"),
        ("entry 10", "backdated"),
        ("entry 11", "unknown-request"),
    ]
    assert report.counts["request"] == 3


def test_findings_are_kept_up_to_a_limit() -> None:
    """A log full of errors is counted in full and reported in part."""
    report = LogReport()
    for number in range(1_500):
        report.add("malformed", f"entry {number}", "junk")
    assert (report.finding_count, len(report.findings)) == (1_500, 1_000)
    assert "and 500 more" in report.to_text()


def test_a_full_tile_stands_in_for_a_partial_one_that_is_gone(folder: Path) -> None:
    """A reader that holds an older checkpoint is served the full tile, as tlog-tiles says."""
    short = write_log(folder.parent / "short", honest_entries()[:200], batch=7)
    shutil.copytree(folder / "tile", short / "tile", dirs_exist_ok=True)
    shutil.rmtree(short / "tile/0/000.p")
    shutil.rmtree(short / "tile/entries/000.p")
    assert verified(short).ok


def test_a_log_is_read_over_http_too(folder: Path) -> None:
    """The http reader finds the same files, refuses too large ones and says which answer it got."""

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/log/tile/0/000.p/9":
            return httpx.Response(200, content=b"\0" * 9_000)
        path = folder / request.url.path.removeprefix("/log/")
        return httpx.Response(200, content=path.read_bytes()) if path.is_file() else httpx.Response(404)

    with httpx.Client(transport=httpx.MockTransport(serve)) as client:
        read = http_reader("http://log.example.org/log/", client=client)
        report = verify_log(read, POLICY, operator_key=public_bytes(OPERATOR), limits=LIMITS)
        assert report.ok, report.to_text()
        with pytest.raises(LogReadError, match="404"):
            read("tile/0/999")
        with pytest.raises(LogReadError, match="more than the 8192"):
            read("tile/0/000.p/9")


def test_a_server_has_so_long_for_a_whole_answer() -> None:
    """One that sends a little at a time is given up; the newest checkpoint is asked for at the log itself."""
    asked: list[str | None] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("cache-control"))
        return httpx.Response(200, content=iter([b"x"] * 200))

    time_s = itertools.count()
    with httpx.Client(transport=httpx.MockTransport(serve)) as client:
        read = http_reader("http://log.example.org/log", client=client, now_s=lambda: float(next(time_s)))
        with pytest.raises(LogReadError, match="within 120 s"):
            read("checkpoint")
        assert next(time_s) == ANSWER_S + 2
        steady = http_reader("http://log.example.org/log", client=client, now_s=lambda: 0.0)
        assert steady("tile/0/000") == b"x" * 200
    assert asked == ["no-cache", None]
