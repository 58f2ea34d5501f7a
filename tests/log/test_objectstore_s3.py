"""A log on a real S3 server: what the memory bucket of the other tests takes for granted holds there."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broker.log.errors import LogInUseError, StorageRefusedError, StorageUnreachableError
from broker.log.readers import http_reader
from broker.log.sequencer import Sequencer
from broker.log.storage.bucket import Headers, TagMismatchError
from broker.log.storage.s3 import ObjectOptions, S3Bucket, open_storage
from broker.log.verify import verify_log
from broker.wire.envelopes import public_bytes
from tests.log.buckets import DONE, LOST, Fate, FaultyBucket, Timer, late, make_storage
from tests.log.s3server import READER, WRITER, S3Server, running
from tests.log.story import SIZES, Story
from tests.log.support import OPERATOR, ORIGIN, POLICY

pytestmark = [pytest.mark.s3, pytest.mark.slow, pytest.mark.xdist_group("s3")]
ANY = Headers("text/plain", "no-store")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, WRITER)


def use(monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]) -> None:
    for name, value in keys.items():
        monkeypatch.setenv(name, value)


def opened(server: S3Server, url: str, *, lease_s: float = 2.0) -> Sequencer:
    sequencer = Sequencer(open_storage(url, server.options(lease_s=lease_s)), key=OPERATOR, origin=ORIGIN)
    sequencer.open()
    return sequencer


def test_the_server_swaps_only_what_is_unchanged(server: S3Server) -> None:
    """If-None-Match and If-Match are honoured: of what two writers do to one object, one is done."""
    bucket = server.bucket(server.new_url())
    tag = bucket.put_if("head", b"one", ANY, tag=None)
    with pytest.raises(TagMismatchError):
        bucket.put_if("head", b"two", ANY, tag=None)
    second = bucket.put_if("head", b"two", ANY, tag=tag)
    with pytest.raises(TagMismatchError):
        bucket.put_if("head", b"three", ANY, tag=tag)
    with pytest.raises(TagMismatchError):
        bucket.put_if("nothing", b"one", ANY, tag=tag)
    stored = bucket.get("head")
    assert stored is not None
    assert (stored.data, stored.tag) == (b"two", second)
    assert bucket.get("nothing") is None


@pytest.mark.parametrize("exists", [False, True], ids=["made", "replaced"])
def test_of_writers_that_race_one_wins(server: S3Server, exists: bool) -> None:
    """Of eight swaps at the same moment exactly one is done, and it is the one that is stored."""
    bucket = server.bucket(server.new_url())
    for turn in range(4):
        key = f"race/{turn}"
        tag = bucket.put_if(key, b"base", ANY, tag=None) if exists else None
        won = race(bucket, key, tag)
        stored = bucket.get(key)
        assert stored is not None
        assert [stored.data] == won


def race(bucket: S3Bucket, key: str, tag: str | None) -> list[bytes]:
    """Return what those wrote who were told that it was done."""
    won: list[bytes] = []
    start = threading.Barrier(8)

    def swap(data: bytes) -> None:
        start.wait()
        try:
            bucket.put_if(key, data, ANY, tag=tag)
        except TagMismatchError:
            return
        won.append(data)

    threads = [threading.Thread(target=swap, args=(b"writer %d" % number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def test_the_story_over_s3(server: S3Server) -> None:
    """Appended, published, closed, opened again: the log is whole, and its partial tiles do not pile up."""
    url = server.new_url()
    story = Story()
    story.live(open_storage(url, server.options()))
    story.check()
    story.left = [2]
    story.live(open_storage(url, server.options()))
    story.check()
    keys = set(server.bucket(url).list_below("tile/"))
    assert {"tile/0/000", "tile/entries/000", "tile/1/000.p/1"} <= keys
    assert not [key for key in keys if key.startswith(("tile/0/000.p/", "tile/entries/000.p/"))]


@pytest.mark.parametrize("fate", [LOST, DONE, late(2), late(9)], ids=str)
def test_the_story_over_s3_behind_a_bad_line(server: S3Server, fate: Fate) -> None:
    """A call that fails on its way to a real server, or on its way back, loses nothing and forks nothing."""
    for at in range(1, 60, 7):
        story, timer = Story(), Timer()
        storage = make_storage(FaultyBucket(server.bucket(server.new_url()), {at: fate}), timer)
        for _ in range(3):
            with contextlib.suppress(StorageUnreachableError):
                story.live(storage)
        story.check()


def test_a_verifier_reads_the_bucket_as_it_stands(server: S3Server) -> None:
    """The objects are the log's URLs: nothing of ours stands between them and who checks them."""
    url = server.new_url()
    Story().live(open_storage(url, server.options()))
    with httpx.Client() as client:
        read = http_reader(server.public_url(url), client=client)
        report = verify_log(read, POLICY, operator_key=public_bytes(OPERATOR))
    assert report.size == sum(SIZES)
    assert {finding.code for finding in report.findings} == {"malformed"}  # the entries are no envelopes


def test_objects_are_served_with_their_headers(server: S3Server) -> None:
    """What a browser or a cache is told about an object is stored with it."""
    url = server.new_url()
    Story([1]).live(open_storage(url, server.options()))
    for path, expected in {"tile/0/000.p/1": "immutable", "checkpoint": "no-cache", "head": "no-store"}.items():
        answer = httpx.get(f"{server.public_url(url)}/{path}")
        assert answer.status_code == 200
        assert expected in answer.headers["cache-control"]


def test_a_second_sequencer_is_refused(server: S3Server) -> None:
    """A log that is open elsewhere is not opened; when it is closed it is, at once."""
    url = server.new_url()
    first = opened(server, url, lease_s=6)
    with pytest.raises(LogInUseError, match="is in use by another 'latchstring broker run'"):
        opened(server, url, lease_s=6)
    first.append([b"one"])
    first.close()
    second = opened(server, url, lease_s=60)
    assert second.size == 1
    second.close()


@pytest.mark.parametrize(
    ("bucket", "keys", "reason"),
    [
        ("s3://nowhere/log", WRITER, "s3://nowhere/log: there is no such bucket; make it first"),
        ("s3://logs/log", READER, "AccessDenied; give AWS_ACCESS_KEY_ID"),
        ("s3://logs/log", {**WRITER, "AWS_ACCESS_KEY_ID": "nobody"}, "InvalidAccessKeyId; give"),
        ("s3://logs/log", {**WRITER, "AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch; give"),
    ],
    ids=["no-bucket", "may-only-read", "no-such-key", "wrong-secret"],
)
def test_what_is_refused_is_said_in_one_line(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, bucket: str, keys: dict[str, str], reason: str
) -> None:
    """No such bucket, no permission, no such key: not tried again, and told with what to do."""
    use(monkeypatch, keys)
    with pytest.raises(StorageRefusedError) as caught:
        open_storage(bucket, server.options()).claim()
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9", "http://nowhere.invalid"], ids=["nobody-listens", "no-host"]
)
def test_an_endpoint_that_is_down_is_said_in_one_line(endpoint: str) -> None:
    """A store that does not answer is named, after a few tries."""
    storage = S3Bucket("s3://logs/log", ObjectOptions(endpoint=endpoint, timeout_s=1))
    with pytest.raises(StorageUnreachableError) as caught:
        storage.get("head")
    assert str(caught.value).startswith(f"s3://logs/log: no answer from {endpoint}: error sending request; look")
    assert "\n" not in str(caught.value)


def test_missing_credentials_are_said_in_one_line(monkeypatch: pytest.MonkeyPatch, server: S3Server) -> None:
    """Without credentials in the environment the message says which variables to set."""
    for name in WRITER:
        monkeypatch.delenv(name)
    with pytest.raises(StorageRefusedError, match=r"^s3://logs/log: there are no credentials .* AWS_ACCESS_KEY_ID"):
        server.bucket("s3://logs/log").get("head")


APPENDER = """
import sys
from broker.log.readers import http_reader
from broker.log.storage.s3 import ObjectOptions, open_storage
from broker.log.sequencer import Sequencer
from tests.log.support import OPERATOR, ORIGIN
storage = open_storage(sys.argv[1], ObjectOptions(endpoint=sys.argv[2], lease_s=1.0))
sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN)
sequencer.open()
while True:
    number = sequencer.size
    sequencer.append([b"entry %d" % n for n in range(number, number + 1 + number % 7)])
    sequencer.publish(sequencer.head_note)
    print(sequencer.size, flush=True)
"""


@pytest.mark.parametrize("after", [1, 23])
def test_what_a_killed_sequencer_acknowledged_is_there(server: S3Server, after: int) -> None:
    """Killed amid its work, it leaves a lease that ends by itself, and a log that holds all it said it holds."""
    url = server.new_url()
    with subprocess.Popen(
        [sys.executable, "-c", APPENDER, url, server.endpoint],
        cwd=Path(__file__).parents[2],
        env=os.environ | WRITER,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        sizes = (int(line) for line in process.stdout if line.strip().isdigit())
        acknowledged = [next(sizes) for _ in range(after)][-1]
        process.kill()
    sequencer = opened(server, url, lease_s=1.0)
    assert sequencer.size >= acknowledged
    assert [entry for _, entry in sequencer.entries()] == [b"entry %d" % n for n in range(sequencer.size)]
    sequencer.append([b"and on"])
    sequencer.publish(sequencer.head_note)
    sequencer.close()
