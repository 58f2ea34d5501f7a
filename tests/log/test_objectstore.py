"""A log in a bucket, against the contract of `Storage`; the bucket is one in memory, with the manners of S3."""

import threading

import pytest

from broker.log.errors import (
    CheckpointConflictError,
    LogDamagedError,
    LogInUseError,
    StorageRefusedError,
    StorageUnreachableError,
)
from broker.log.storage.bucket import FIRST_WAIT_S, LONGEST_WAIT_S, Headers, PatientBucket, TagMismatchError
from broker.log.storage.folder import FolderStorage
from broker.log.storage.objects import ObjectStorage
from broker.log.storage.s3 import ObjectOptions, open_storage
from broker.wire.encoding import WireError
from broker.wire.tiles import Tile
from tests.log.buckets import DONE, LOST, FaultyBucket, MemoryBucket, Timer, late, make_storage

TILES = {"tile/0/000.p/2": b"hashes", "tile/entries/000.p/2": b"two\nentries"}
ANY = Headers("text/plain", "no-store")


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


@pytest.fixture
def storage(bucket: MemoryBucket) -> ObjectStorage:
    storage = make_storage(bucket, Timer())
    storage.claim()
    return storage


def test_the_objects_are_the_public_urls(storage: ObjectStorage, bucket: MemoryBucket) -> None:
    """A bucket that is served as it stands serves the log: tiles to be kept, the checkpoint to be asked for."""
    storage.put(TILES)
    storage.swap_head(None, b"note\n")
    storage.publish(b"note, cosigned\n")
    assert set(bucket.objects) == {*TILES, "head", "lease", "checkpoint"}
    assert bucket.objects["checkpoint"] == b"note, cosigned\n"
    assert "immutable" in bucket.headers["tile/0/000.p/2"].cache_control
    assert bucket.headers["checkpoint"] == Headers("text/plain; charset=utf-8", "no-cache")
    assert bucket.headers["head"].cache_control == bucket.headers["lease"].cache_control == "no-store"


def test_no_tile_has_its_place_before_a_head_covers_it(storage: ObjectStorage, bucket: MemoryBucket) -> None:
    """What is staged is seen by nobody, and is forgotten when the head did not come."""
    storage.put(TILES)
    assert not [key for key in bucket.objects if key.startswith("tile/")]
    storage.claim()
    storage.put({"tile/0/000.p/1": b"other"})
    storage.swap_head(None, b"note")
    assert [key for key in bucket.objects if key.startswith("tile/")] == ["tile/0/000.p/1"]


def test_the_head_is_compared_before_it_is_swapped(storage: ObjectStorage) -> None:
    """A head that is not the expected one stays as it is, and the storage goes on."""
    assert storage.get("head") is None
    storage.swap_head(None, b"one")
    for wrong in (None, b"zero"):
        with pytest.raises(CheckpointConflictError):
            storage.swap_head(wrong, b"two")
    assert storage.get("head") == b"one"
    storage.swap_head(b"one", b"two")
    assert storage.get("head") == b"two"


def test_a_head_that_the_writer_did_not_see_done_is_found_by_the_next(bucket: MemoryBucket) -> None:
    """A writer that dies right after its head was swapped leaves tiles that the next one puts in their places."""
    timer = Timer()
    dying = FaultyBucket(bucket, {})
    storage = make_storage(dying, timer)
    storage.claim()
    storage.put(TILES)
    dying.fates = dict.fromkeys(range(dying.calls + 2, 100), LOST)
    with pytest.raises(StorageUnreachableError):
        storage.swap_head(None, b"note")
    assert "tile/0/000.p/2" not in bucket.objects
    second = make_storage(bucket, timer)
    second.claim()
    assert second.get("head") == b"note"
    assert {path: second.get(path) for path in TILES} == TILES


def test_after_a_failed_swap_nothing_is_written_before_the_next_claim(bucket: MemoryBucket) -> None:
    """A writer that does not know what became of its head may not go on as if it did."""
    line = FaultyBucket(bucket, {})
    storage = make_storage(line, Timer())
    storage.claim()
    line.fates = {line.calls + 1: DONE}
    with pytest.raises(StorageUnreachableError):
        storage.swap_head(None, b"one")
    with pytest.raises(LogInUseError, match="not claimed"):
        storage.put(TILES)
    with pytest.raises(LogInUseError, match="not claimed"):
        storage.swap_head(None, b"two")
    with pytest.raises(LogInUseError, match="not claimed"):
        storage.publish(b"one")
    storage.claim()
    assert storage.get("head") == b"one"
    storage.swap_head(b"one", b"two")


def test_a_late_head_does_not_come_after_the_next_claim(bucket: MemoryBucket) -> None:
    """What `claim` found is settled: a put that was on its way until then has lost."""
    line = FaultyBucket(bucket, {})
    storage = make_storage(line, Timer())
    storage.claim()
    line.fates = {line.calls + 1: late(50)}
    with pytest.raises(StorageUnreachableError):
        storage.swap_head(None, b"late")
    storage.claim()
    assert storage.get("head") is None
    line.settle()
    storage.swap_head(None, b"one")
    assert storage.get("head") == b"one"


def test_a_second_writer_is_refused_while_the_first_renews(bucket: MemoryBucket) -> None:
    """The second waits for a sign of life, sees one, and says who it is, in one line."""
    timer = Timer()
    first, second = make_storage(bucket, timer), make_storage(bucket, timer)
    first.claim()
    timer.during = lambda: first.put({})  # which renews when that is due
    with pytest.raises(
        LogInUseError, match=r"memory://log \(\S+ \d+ [0-9a-f]{16}\) is in use by another 'latchstring broker run'"
    ):
        second.claim()
    assert timer.now_s < 1_000 + 15
    with pytest.raises(LogInUseError, match="not claimed"):
        second.put(TILES)
    timer.during = lambda: None
    first.release()
    second.claim()
    with pytest.raises(LogInUseError):
        first.put(TILES)


def test_a_dead_writer_is_followed_when_its_lease_ends(bucket: MemoryBucket) -> None:
    """A lease that nobody renews is taken over after its time; who held it is told when they come back."""
    timer = Timer()
    first, second = make_storage(bucket, timer), make_storage(bucket, timer)
    first.claim()
    first.swap_head(None, b"one")
    second.claim()
    assert 15 <= timer.now_s - 1_000 < 18
    with pytest.raises(LogInUseError, match="took over"):
        first.swap_head(b"one", b"two")
    assert second.get("head") == b"one"
    second.swap_head(b"one", b"three")
    timer.during = lambda: second.put({})
    with pytest.raises(LogInUseError, match="is in use"):
        first.claim()


@pytest.mark.parametrize("jump_s", [-1e9, -3_600.0, 3_600.0, 1e9])
def test_a_clock_that_is_set_does_not_move_a_lease(
    bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    """No clock but the watcher's own monotonic one is read: set back or forth, nobody loses or keeps a lease by it."""
    timer = Timer()
    first, second = make_storage(bucket, timer), make_storage(bucket, timer)
    first.claim()
    now_s = 1.8e9 + jump_s
    monkeypatch.setattr("time.time", lambda: now_s)
    timer.during = lambda: first.put({})
    with pytest.raises(LogInUseError):
        second.claim()
    first.swap_head(None, b"one")
    timer.during = lambda: None
    second.claim()
    assert second.get("head") == b"one"


def test_two_that_find_a_free_lease_at_once_do_not_both_get_it(bucket: MemoryBucket) -> None:
    """The lease is taken by a conditional put: the slower one is refused."""
    timer = Timer()
    quick = make_storage(bucket, timer)
    line = FaultyBucket(bucket, {}, before={2: quick.claim})
    with pytest.raises(LogInUseError):
        make_storage(line, timer).claim()
    quick.swap_head(None, b"one")


def test_the_lease_is_renewed_by_itself(bucket: MemoryBucket) -> None:
    """While a log is open and nothing is posted, its lease goes on; once released it is free."""
    storage = ObjectStorage(bucket, lease_s=0.06)
    storage.claim()
    beats = threading.Semaphore(0)
    bucket.when_written = lambda _: beats.release()
    second = ObjectStorage(bucket, sleep=lambda _: assert_soon(beats), keep_lease=False)
    with pytest.raises(LogInUseError):
        second.claim()
    storage.release()
    second.claim()
    second.release()


def assert_soon(beats: threading.Semaphore) -> None:
    assert beats.acquire(timeout=30)


def test_an_answer_that_was_lost_is_not_a_conflict(bucket: MemoryBucket) -> None:
    """A swap that was done and reported as failed is found done by the next try, and returns its tag."""
    waits: list[float] = []
    line = PatientBucket(FaultyBucket(bucket, {1: DONE, 2: LOST}), sleep=waits.append, chance=lambda: 1.0)
    tag = line.put_if("head", b"one", ANY, tag=None)
    assert line.put_if("head", b"two", ANY, tag=tag)
    assert waits == [FIRST_WAIT_S, 2 * FIRST_WAIT_S]


def test_a_swap_that_another_undid_is_not_reported_as_never_done(bucket: MemoryBucket) -> None:
    """Where a try was not answered, and another writer has swapped since, nobody knows whether it was done between."""
    line = FaultyBucket(bucket, {1: DONE}, before={2: lambda: bucket.put("head", b"theirs", ANY)})
    with pytest.raises(StorageUnreachableError, match="what became of head is not known"):
        PatientBucket(line, attempts=2, sleep=lambda _: None).put_if("head", b"ours", ANY, tag=None)
    with pytest.raises(TagMismatchError):  # every try of this one was answered
        PatientBucket(bucket).put_if("head", b"ours", ANY, tag=None)


def test_waits_are_capped_and_tries_end(bucket: MemoryBucket) -> None:
    """A store that is down is asked a few times, at growing distances, and then named in one line."""
    waits: list[float] = []
    line = FaultyBucket(bucket, dict.fromkeys(range(1, 100), LOST))
    patient = PatientBucket(line, attempts=9, sleep=waits.append, chance=lambda: 1.0)
    with pytest.raises(StorageUnreachableError, match=r"^memory://log: the line is bad; look whether"):
        patient.get("head")
    assert (line.calls, max(waits)) == (9, LONGEST_WAIT_S)
    assert waits == sorted(waits)


def test_partial_tiles_are_dropped(storage: ObjectStorage, bucket: MemoryBucket) -> None:
    """Once a full tile is there its partial forms go, and only they; a failure to do so is no failure."""
    storage.put({"tile/0/000.p/1": b"a", "tile/0/000": b"b", "tile/0/001.p/1": b"c"})
    storage.swap_head(None, b"note")
    storage.discard_partials(Tile(0, 0))
    storage.discard_partials(Tile(0, 5))
    assert {key for key in bucket.objects if key.startswith("tile/")} == {"tile/0/000", "tile/0/001.p/1"}
    line = FaultyBucket(bucket, dict.fromkeys(range(1, 100), LOST))
    make_storage(line, Timer()).discard_partials(Tile(0, 1))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"note\n",
        b"latchstring head\nfence\n1\n",
        b"latchstring head\nf\n01\nx",
        b"latchstring head\nf\n1\nxtile/0/000 1\ny",
        b"latchstring head\nf\n1\nx\n../a 1\ny",
        b"latchstring head\nf\n1\nx\ntile/0/000 9\ny",
        b"latchstring head\nf\n1\nx\ntile/0/000\ny",
    ],
)
def test_a_damaged_head_is_not_built_upon(bucket: MemoryBucket, head: bytes) -> None:
    """A head object that this module did not write stops the log."""
    bucket.objects["head"] = head
    with pytest.raises(LogDamagedError, match="head is not a head"):
        make_storage(bucket, Timer()).claim()
    assert bucket.objects["head"] == head


def test_a_foreign_lease_object_is_named(bucket: MemoryBucket) -> None:
    """Something else under the lease's name is neither respected nor overwritten."""
    bucket.objects["lease"] = b"mine"
    with pytest.raises(LogDamagedError, match="lease is not a lease"):
        make_storage(bucket, Timer()).claim()


@pytest.mark.parametrize("path", ["../secret", "lease", "tile/0/1", ""])
def test_no_other_path_has_a_meaning(storage: ObjectStorage, path: str) -> None:
    """Only the log's own names can be read or written."""
    with pytest.raises(WireError):
        storage.get(path)
    with pytest.raises(WireError):
        storage.put({path: b""})


@pytest.mark.parametrize("where", ["folder", "/var/lib/log"])
def test_a_path_is_a_folder(where: str) -> None:
    """What is no URL is a folder."""
    assert isinstance(open_storage(where), FolderStorage)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("file:///var/lib/log", "never synced"),
        ("gs://bucket/log", "no place for a log"),
        ("s3://", "no place for a log"),
        ("s3://key:secret@bucket/log", "no place for a log"),
        ("s3://bucket/log?x=1", "no place for a log"),
    ],
)
def test_no_other_place_is_taken(where: str, reason: str) -> None:
    """A store that does not keep the contract, or keys in a URL, are refused in one line before anything is written."""
    with pytest.raises(StorageRefusedError, match=reason):
        open_storage(where, ObjectOptions())
