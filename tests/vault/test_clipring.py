"""The ring: order, bounds, pins, ages, reading, and many threads."""

import hashlib
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from device.vault.clipring import END_BYTES
from device.vault.errors import ClipError, MisuseError, RingFullError
from device.vault.sealing import seal, unseal
from tests.vault.support import IDENTITY, RECIPIENT, SECOND_US, START_US, Clock, home, plain

FOREVER = (0, 2 * START_US)


def names(infos: list) -> list[str]:  # type: ignore[type-arg]
    return [info.clip for info in infos]


def test_what_was_recorded_is_read_back(tmp_path: Path) -> None:
    """Each segment comes back sealed, opens with the owner's identity, and is what its statement says."""
    with home(tmp_path) as vault:
        vault.record("a", at_s=10, seconds=3)
        segments = vault.ring.segments("a")
        assert [segment.start_us for segment in segments] == [START_US + s * SECOND_US for s in (10, 11, 12)]
        for second, segment in zip((10, 11, 12), segments, strict=True):
            opened = unseal(vault.ring.read_sealed(segment), IDENTITY)
            assert opened == plain(second)
            assert hashlib.sha256(opened).hexdigest() == segment.sha256
        assert vault.ring.clip("a").end_us == START_US + 13 * SECOND_US
        assert vault.check().findings == ()


def test_thumbnails_stand_beside_segments(tmp_path: Path) -> None:
    """A thumbnail is kept sealed in the clip's file, and found by its moment."""
    with home(tmp_path) as vault:
        vault.record("a", at_s=0, end=False)
        vault.ring.append_thumbnail("a", seal(b"jpeg", [RECIPIENT]), at_us=START_US + 5)
        vault.ring.end("a", end_us=START_US + 2 * SECOND_US)
        (thumbnail,) = vault.ring.thumbnails("a")
        assert thumbnail.at_us == START_US + 5
        assert unseal(vault.ring.read_sealed(thumbnail), IDENTITY) == b"jpeg"
        assert len(vault.ring.segments("a")) == 2
        assert vault.check().findings == ()


def test_clips_of_a_range(tmp_path: Path) -> None:
    """A range finds the clips that overlap it, ends excluded, of one camera if asked; open ones as far as written."""
    with home(tmp_path) as vault:
        vault.record("a", at_s=0, seconds=2)
        vault.record("b", at_s=10, seconds=2)
        vault.record("c", at_s=20, seconds=2, end=False)

        def found(start_s: float, end_s: float, camera: str | None = None) -> list[str]:
            return names(
                vault.ring.clips(START_US + int(start_s * SECOND_US), START_US + int(end_s * SECOND_US), camera)
            )

        assert found(0, 30) == ["a", "b", "c"]
        assert found(2, 10) == []
        assert found(1.5, 10.5) == ["a", "b"]
        assert found(21, 22) == ["c"]
        assert found(22, 30) == []
        assert found(0, 30, "door") == ["a", "b", "c"]
        assert found(0, 30, "yard") == []


def test_oldest_goes_first_and_the_bound_holds(tmp_path: Path) -> None:
    """However much is recorded, the files stay under the bound, and what is left is the newest."""
    with home(tmp_path, max_bytes=30_000) as vault:
        for number in range(12):
            vault.record(f"c{number:02}", at_s=number * 10)
            assert sum(path.stat().st_size for path in (tmp_path / "clips").iterdir()) <= 30_000
        left = names(vault.ring.clips(*FOREVER))
        assert left == [f"c{number:02}" for number in range(12 - len(left), 12)]
        assert len(left) == 4
        assert vault.ring.usage().bytes == sum(path.stat().st_size for path in (tmp_path / "clips").iterdir())
        assert vault.check().clean


def test_clip_being_written_is_never_evicted(tmp_path: Path) -> None:
    """A clip that grows past the bound is refused by name, keeps what it has, and can still be ended."""
    with home(tmp_path, max_bytes=10_000) as vault:
        vault.record("old", at_s=0)
        vault.begin("long", at_s=10)
        with pytest.raises(RingFullError, match="max_bytes"):
            vault.segments("long", range(10, 30))
        assert names(vault.ring.clips(*FOREVER)) == ["long"]
        count = len(vault.ring.segments("long"))
        assert count >= 2
        vault.ring.end("long", end_us=START_US + 30 * SECOND_US)
        assert vault.ring.usage().bytes <= 10_000
        vault.record("next", at_s=40)
        assert vault.chain.head.seq == 2 + count + 2 - 1
        assert vault.check().clean


def test_room_for_the_end_is_kept(tmp_path: Path) -> None:
    """A record that would fit only without the clip's end record is refused: no clip can be unable to end."""
    with home(tmp_path / "large") as vault:
        vault.begin("a", at_s=0)
        vault.ring.append_thumbnail("a", bytes(1_000), at_us=START_US)
        without_end = vault.ring.usage().bytes
    for spare, fits in ((0, False), (END_BYTES - 1, False), (END_BYTES, True)):
        with home(tmp_path / f"small {spare}", max_bytes=without_end + spare) as vault:
            vault.begin("a", at_s=0)
            with nullcontext() if fits else pytest.raises(RingFullError):
                vault.ring.append_thumbnail("a", bytes(1_000), at_us=START_US)
            vault.ring.end("a", end_us=START_US)
            assert (vault.ring.usage().bytes > without_end) == fits
            assert vault.ring.usage().bytes <= without_end + spare


def test_one_huge_append_evicts_nothing_in_vain(tmp_path: Path) -> None:
    """What can never fit is refused before anything is given up for it."""
    with home(tmp_path, max_bytes=20_000) as vault:
        vault.record("a", at_s=0)
        vault.begin("b", at_s=10)
        with pytest.raises(RingFullError):
            vault.segment("b", at_s=10, size=30_000)
        assert names(vault.ring.clips(0, 2 * START_US)) == ["a"]
        assert vault.chain.head.seq == 1


def test_pins_protect_the_newest_within_their_share(tmp_path: Path) -> None:
    """A pinned clip outlives newer ones; when too much is pinned, the oldest pins protect no longer."""
    with home(tmp_path, max_bytes=30_000, pinned_share=0.3) as vault:
        for number in range(4):
            vault.record(f"c{number}", at_s=number * 10)
        vault.clock.now_us += 1
        assert vault.ring.pin("c0", "request 1")
        vault.record("c4", at_s=40)
        assert names(vault.ring.clips(*FOREVER)) == ["c0", "c2", "c3", "c4"]
        for number in (2, 3, 4):
            vault.clock.now_us += 1
            vault.ring.pin(f"c{number}", f"request {number}")
        assert vault.ring.usage().pinned_bytes <= 9_000
        for number in range(5, 9):
            vault.record(f"c{number}", at_s=number * 10)
        assert names(vault.ring.clips(*FOREVER)) == ["c4", "c6", "c7", "c8"]
        vault.ring.unpin("request 4")
        vault.record("c9", at_s=90)
        assert "c4" not in names(vault.ring.clips(*FOREVER))
        pinned = {clip for (clip,) in vault.state.query("SELECT clip FROM pins")}
        assert pinned <= set(names(vault.ring.clips(*FOREVER)))


def test_a_pinned_clip_counts_as_far_as_it_is_written(tmp_path: Path) -> None:
    """What the index lacks of an open clip uses up the pins' share like the rest: an older pin gives way to it."""
    with home(tmp_path, max_bytes=30_000, pinned_share=0.3) as vault:
        vault.record("old", at_s=0)
        vault.record("plain", at_s=10)
        vault.ring.pin("old", "an older request")
        vault.clock.now_us += 1
        vault.begin("open", at_s=20)
        vault.ring.pin("open", "a newer request")
        vault.segments("open", range(20, 22))
        size = (tmp_path / "clips" / "open.clip").stat().st_size
        assert vault.ring.usage().pinned_bytes == size
        while len(left := names(vault.ring.clips(*FOREVER))) == 3:
            vault.ring.append_thumbnail("open", bytes(1_000), at_us=START_US)
        assert left == ["plain", "open"]


def test_pinning_again_is_no_newer(tmp_path: Path) -> None:
    """A request that is matched again after a restart does not push others' pins aside."""
    with home(tmp_path, max_bytes=30_000, pinned_share=0.3) as vault:
        vault.record("a", at_s=0)
        vault.record("b", at_s=10)
        for clip, moment in (("a", 1), ("b", 2), ("a", 3)):
            vault.clock.now_us = START_US + moment
            vault.ring.pin(clip, "one request")
        vault.record("c", at_s=20)
        vault.record("d", at_s=30)
        vault.record("e", at_s=40)
        assert names(vault.ring.clips(*FOREVER))[0] == "b"


def test_protected_clips_give_way_to_recording(tmp_path: Path) -> None:
    """With all else gone, even a protected clip goes before recording stops."""
    with home(tmp_path, max_bytes=20_000, pinned_share=1.0) as vault:
        vault.record("a", at_s=0)
        vault.record("b", at_s=10)
        vault.ring.pin("a", "r")
        vault.ring.pin("b", "r")
        vault.record("c", at_s=20, seconds=5)
        assert names(vault.ring.clips(*FOREVER)) == ["b", "c"] or names(vault.ring.clips(*FOREVER)) == ["c"]


def test_pin_in_the_callers_transaction(tmp_path: Path) -> None:
    """A pin is kept or not together with what the caller decides; a clip that is gone can't be pinned."""
    with home(tmp_path) as vault:
        vault.record("a", at_s=0)
        with pytest.raises(ZeroDivisionError), vault.state.transaction() as tx:  # noqa: PT012 - the pin must come first
            assert vault.ring.pin("a", "r", tx=tx)
            raise ZeroDivisionError
        assert vault.ring.usage().pinned_bytes == 0
        assert not vault.ring.pin("gone", "r")


def test_old_clips_expire_unless_pinned(tmp_path: Path) -> None:
    """Past the age bound a clip goes; a protected one stays until it is unpinned."""
    clock = Clock()
    with home(tmp_path, max_age_s=100, clock=clock) as vault:
        vault.record("a", at_s=0)
        vault.record("b", at_s=10)
        vault.ring.pin("a", "r")
        clock.now_us = START_US + 111 * SECOND_US
        assert vault.ring.expire() == 0
        clock.now_us = START_US + 113 * SECOND_US
        assert vault.ring.expire() == 1
        assert names(vault.ring.clips(*FOREVER)) == ["a"]
        vault.ring.unpin("r")
        vault.record("c", at_s=113)
        assert names(vault.ring.clips(*FOREVER)) == ["c"]


def test_refusals_change_nothing(tmp_path: Path) -> None:
    """A name taken, a clip that ended, a strange name, a statement out of order: each is refused, in a line."""
    with home(tmp_path) as vault:
        vault.record("a", at_s=0)
        before = vault.ring.usage()
        with pytest.raises(ClipError, match="exists already"):
            vault.begin("a", at_s=5)
        with pytest.raises(ClipError, match="has ended"):
            vault.segment("a", at_s=5)
        with pytest.raises(ClipError, match="has ended"):
            vault.ring.end("a", end_us=START_US)
        with pytest.raises(ClipError, match="name"):
            vault.begin("../evil", at_s=5)
        with pytest.raises(ClipError, match="not in the ring"):
            vault.segment("nowhere", at_s=5)
        assert vault.ring.usage() == before
        vault.begin("b", at_s=6)
        sha256 = "0" * 64
        stale = vault.chain.sign(start_us=START_US, duration_us=1, sha256=sha256)
        vault.segment("b", at_s=7)
        size = (tmp_path / "clips" / "b.clip").stat().st_size
        with pytest.raises(ClipError, match="does not follow"):
            vault.ring.append_segment("b", b"", statement=stale, start_us=START_US, duration_us=1, sha256=sha256)
        fresh = vault.chain.sign(start_us=START_US, duration_us=1, sha256=sha256)
        with pytest.raises(ClipError, match="do not say the same"):
            vault.ring.append_segment("b", b"", statement=fresh, start_us=START_US, duration_us=2, sha256=sha256)
        with pytest.raises(ClipError, match="can't be read"):
            vault.ring.append_segment("b", b"", statement=b"{}", start_us=START_US, duration_us=2, sha256=sha256)
        assert (tmp_path / "clips" / "b.clip").stat().st_size == size
        vault.segment("b", at_s=8)
        vault.ring.end("b", end_us=START_US + 9 * SECOND_US)
        assert vault.check().clean


def test_writing_inside_a_transaction_is_refused(tmp_path: Path) -> None:
    """The ring writes in transactions of its own; inside another's it says so instead of hanging."""
    with home(tmp_path) as vault, vault.state.transaction(), pytest.raises(MisuseError, match="nest"):
        vault.begin("a", at_s=0)


def test_damaged_record_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    """One flipped byte costs one segment."""
    with home(tmp_path) as vault:
        vault.record("a", at_s=0, seconds=3)
        segments = vault.ring.segments("a")
        path = tmp_path / "clips" / "a.clip"
        data = bytearray(path.read_bytes())
        data[segments[1].offset + segments[1].length - 100] ^= 1
        path.write_bytes(data)
        with pytest.raises(ClipError, match="CRC"):
            vault.ring.read_sealed(segments[1])
        assert unseal(vault.ring.read_sealed(segments[2]), IDENTITY) == plain(2)


def test_evicted_clip_is_said_to_be_gone(tmp_path: Path) -> None:
    """Who holds on to a segment of a clip that made room gets a line, not a traceback."""
    with home(tmp_path, max_bytes=10_000) as vault:
        vault.record("a", at_s=0)
        (segment, _) = vault.ring.segments("a")
        vault.record("b", at_s=10)
        with pytest.raises(ClipError, match="not in the ring"):
            vault.ring.read_sealed(segment)
        with pytest.raises(ClipError, match="not in the ring"):
            vault.ring.segments("a")


@pytest.mark.slow
def test_reading_while_writing(tmp_path: Path) -> None:
    """Threads read, pin and count while one writes and evicts: all they get is whole, and nobody waits for ever."""
    with home(tmp_path, max_bytes=40_000) as vault:
        done = threading.Event()
        opened: list[int] = []
        trouble: list[BaseException] = []

        def read() -> None:
            try:
                while not done.is_set():
                    for info in vault.ring.clips(*FOREVER):
                        try:
                            for segment in vault.ring.segments(info.clip):
                                sealed = vault.ring.read_sealed(segment)
                                opened.append(len(unseal(sealed, IDENTITY)))
                        except ClipError as error:
                            assert "not in the ring" in str(error)  # noqa: PT017 - eviction is allowed, damage is not
                        vault.ring.pin(info.clip, "reader")
                    vault.ring.unpin("reader")
            except BaseException as error:  # noqa: BLE001 - handed to the test
                trouble.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for number in range(15):
            vault.record(f"c{number:02}", at_s=number * 10)
        done.set()
        for reader in readers:
            reader.join()
        assert trouble == []
        assert opened
        assert set(opened) == {2_000}
        assert vault.check().clean


def test_smaller_bound_is_met_at_start(tmp_path: Path) -> None:
    """Settings with a smaller ring make the oldest go at the next start."""
    with home(tmp_path) as vault:
        for number in range(5):
            vault.record(f"c{number}", at_s=number * 10)
    with home(tmp_path, max_bytes=15_000) as vault:
        assert names(vault.ring.clips(*FOREVER)) == ["c3", "c4"]
