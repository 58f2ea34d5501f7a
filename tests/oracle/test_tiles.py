"""Static files of a log: x/mod, aics-tlog and tlog-scales read and prove from ours; theirs are ours, byte for byte."""

from pathlib import Path
from typing import Any

import pytest
from tlog_scales.reader import TilesReader

from broker.log.sequencer import Sequencer
from broker.log.storage.folder import FolderStorage
from broker.wire.encoding import WireError
from broker.wire.merkle import consistency_proof, inclusion_proof, root_hash
from broker.wire.tiles import decode_entries, fold, parse_tile_path, tile_for_hash
from tests.oracle.golang import Oracle, RefusedError
from tests.oracle.support import (
    LOG,
    LOG_KEY,
    MIRROR_KEY,
    ORIGIN,
    WITNESS_KEY,
    Leaves,
    entries_of,
    need_module,
    write_log,
)

KEYS = [str(LOG_KEY), str(WITNESS_KEY), str(MIRROR_KEY)]
GROWTHS = [[1], [255], [256], [257], [3, 300, 301, 513], [700]]
growths = pytest.mark.parametrize("sizes", GROWTHS, ids=[str(one) for one in GROWTHS])


def files_of(folder: Path) -> dict[str, bytes]:
    """The tiles that a log of the folder's size has; partial ones of earlier sizes may be left beside them."""
    found = {
        str(path.relative_to(folder)): path.read_bytes() for path in (folder / "tile").rglob("*") if path.is_file()
    }
    assert all(parse_tile_path(name).path == name for name in found)
    return found


def damage(folder: Path) -> list[tuple[str, bytes]]:
    """Every way in which a file of the log can be wrong: path and what then stands there."""
    found = []
    for name, data in files_of(folder).items():
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        found += [(name, bytes(flipped)), (name, data[:-1]), (name, data + b"\0"), (name, b"")]
    return found


class ScalesFolder:
    """The part of tlog-scales' backend that reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, *parts: str) -> bytes | None:
        path = self._folder.joinpath(*parts)
        return path.read_bytes() if path.is_file() else None


@pytest.mark.go
class TestGo:
    """golang.org/x/mod/sumdb/tlog."""

    @growths
    def test_it_audits_ours(self, go: Oracle, tmp_path: Path, sizes: list[int]) -> None:
        """From checkpoint and bundles it computes each tile anew, and finds the files to be just that."""
        entries = write_log(tmp_path, sizes)
        found = go.ask("audit", dir=str(tmp_path), keys=KEYS)
        assert (found["size"], found["text"], found["root"]) == (
            sizes[-1], ORIGIN, root_hash(sizes[-1], Leaves(entries)),
        )  # fmt: skip
        assert len(found["names"]) == 3

    @growths
    def test_it_writes_the_same(self, go: Oracle, tmp_path: Path, sizes: list[int]) -> None:
        """What it lays out for the same entries is what we wrote, and from its files our root and proofs come."""
        entries = write_log(tmp_path, sizes)
        found = go.ask("build", entries=entries)
        ours = files_of(tmp_path)
        assert {name: ours.get(name) for name in found["files"]} == found["files"]
        size = sizes[-1]

        def read(level: int, index: int) -> bytes:
            tile, first, count = tile_for_hash(level, index, size)
            return fold(found["files"][tile.path], first, count)

        assert root_hash(size, read) == found["root"] == root_hash(size, Leaves(entries))
        assert inclusion_proof(size // 2, size, read) == inclusion_proof(size // 2, size, Leaves(entries))
        for name, data in found["files"].items():
            tile = parse_tile_path(name)
            if tile.level == "entries":
                assert decode_entries(data, width=tile.width) == entries[256 * tile.index :][: tile.width]

    @growths
    def test_it_proves_from_ours(self, go: Oracle, tmp_path: Path, sizes: list[int]) -> None:
        """Reading our tiles, each checked against the root, it makes the proofs that we make."""
        tree = Leaves(write_log(tmp_path, sizes))
        size = sizes[-1]
        where: dict[str, Any] = {"dir": str(tmp_path), "size": size, "root": root_hash(size, tree)}
        for index in {0, size // 3, size - 1}:
            assert go.ask("prove", index=index, **where)["hashes"] == inclusion_proof(index, size, tree)
        for old in {1, size // 3 + 1, size}:
            assert go.ask("prove", index=-1, oldsize=old, **where)["hashes"] == consistency_proof(old, size, tree)

    def test_no_damage_passes_its_audit(self, go: Oracle, tmp_path: Path) -> None:
        """A bit, a byte more or less, an empty file: wherever it is, the audit says so."""
        write_log(tmp_path, [600])
        for name, data in damage(tmp_path):
            good = (tmp_path / name).read_bytes()
            (tmp_path / name).write_bytes(data)
            with pytest.raises(RefusedError):
                go.ask("audit", dir=str(tmp_path), keys=KEYS)
            (tmp_path / name).write_bytes(good)
        go.ask("audit", dir=str(tmp_path), keys=KEYS)

    def test_a_checkpoint_of_another_size_does_not_pass(self, go: Oracle, tmp_path: Path) -> None:
        """The files of a smaller log under the checkpoint of a larger one, and the other way round."""
        write_log(tmp_path / "small", [300])
        write_log(tmp_path / "large", [600])
        for one, other in (("small", "large"), ("large", "small")):
            checkpoint = (tmp_path / other / "checkpoint").read_bytes()
            (tmp_path / one / "checkpoint").write_bytes(checkpoint)
            with pytest.raises(RefusedError):
                go.ask("audit", dir=str(tmp_path / one), keys=KEYS)
            write_log(tmp_path / one, [300 if one == "small" else 600])


class TestAics:
    """aics-tlog."""

    @growths
    def test_it_audits_ours_and_writes_the_same(self, tmp_path: Path, sizes: list[int]) -> None:
        """Its audit of our folder passes, and its writer's files are ours."""
        peer = need_module("aics_tlog")
        entries = write_log(tmp_path, sizes)
        report = peer.audit_tiles(peer.FileSystemTileReader(tmp_path), sizes[-1], root_hash(sizes[-1], Leaves(entries)))
        assert report.size == sizes[-1]
        theirs = peer.tiles.materialise_tiles(entries)
        ours = files_of(tmp_path)
        assert {name: ours.get(name) for name in theirs} == theirs
        again = peer.MemoryTileStore()
        peer.IncrementalTileWriter(again, prune_partials=False).append(entries)
        assert {name: again.read(name) for name in theirs} == theirs

    def test_no_damage_passes_its_audit(self, tmp_path: Path) -> None:
        """A bit, a byte less, an empty file; it alone does not mind a byte behind a partial tile of hashes."""
        peer = need_module("aics_tlog")
        entries = write_log(tmp_path, [600])
        root = root_hash(600, Leaves(entries))
        for name, data in damage(tmp_path):
            good = (tmp_path / name).read_bytes()
            if "entries" not in name and ".p/" in name and data.startswith(good):
                continue
            (tmp_path / name).write_bytes(data)
            with pytest.raises((ValueError, OSError)):
                peer.audit_tiles(peer.FileSystemTileReader(tmp_path), 600, root)
            (tmp_path / name).write_bytes(good)

    @pytest.mark.parametrize(
        "path",
        ["tile/0/x001/x234/067", "tile/63/000", "tile/0/000.p/1", "tile/1/999.p/255", "tile/entries/x001/000",
         "tile/64/000", "tile/00/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/0",
         "tile/0/001/", "tile/0/x01/000", "tile/0/X001/000", "tile/entries/000.p/", "tile/data/000", "tile/-1/000"],
    )  # fmt: skip
    def test_it_takes_the_paths_that_we_take(self, path: str) -> None:
        """A path names a tile to both or to neither."""
        peer = need_module("aics_tlog").tiles
        parse = peer.parse_entry_bundle_path if path.startswith("tile/entries/") else peer.parse_tile_path

        def taken(reader: Any, error: type[Exception]) -> bool:
            try:
                reader(path)
            except error:
                return False
            return True

        assert taken(parse, ValueError) == taken(parse_tile_path, WireError)


class TestScales:
    """tlog-scales."""

    @growths
    def test_it_reads_and_proves_from_ours(self, tmp_path: Path, sizes: list[int]) -> None:
        """Checkpoint, root, entries and proofs come out of our folder as we put them in."""
        entries = write_log(tmp_path, sizes)
        tree, size = Leaves(entries), sizes[-1]
        reader = TilesReader(ScalesFolder(tmp_path))
        assert (reader.get_checkpoint().size, reader.calculate_root_hash()) == (size, root_hash(size, tree))
        for index in {0, size // 3, size - 1}:
            assert reader.get_entry(index) == entries[index]
            assert reader.get_inclusion_proof(index, size).node_hashes == inclusion_proof(index, size, tree)
            assert reader.get_consistency_proof(index + 1, size).node_hashes == consistency_proof(index + 1, size, tree)


@pytest.mark.go
@pytest.mark.parametrize("batches", [[1], [256], [300, 1, 211, 1], [1, 254, 1, 1, 600]], ids=str)
def test_all_audit_what_the_sequencer_wrote(go: Oracle, tmp_path: Path, batches: list[int]) -> None:
    """The folder as it stands on disk, grown batch by batch, is a log to everybody, and so after each batch."""
    peer = need_module("aics_tlog")
    sequencer = Sequencer(FolderStorage(tmp_path), key=LOG, origin=ORIGIN)
    sequencer.open()
    entries = entries_of(sum(batches))
    size = 0
    for batch in batches:
        sequencer.append(entries[size : size + batch])
        size += batch
        sequencer.publish(sequencer.head_note)
        found = go.ask("audit", dir=str(tmp_path), keys=[str(LOG_KEY)])
        assert (found["size"], found["root"]) == (size, root_hash(size, Leaves(entries[:size])))
        assert peer.audit_tiles(peer.FileSystemTileReader(tmp_path), size, found["root"]).size == size
        reader = TilesReader(ScalesFolder(tmp_path))
        assert (reader.get_checkpoint().size, reader.calculate_root_hash()) == (size, found["root"])
        proof = sequencer.proof(size - 1)
        policy = f"log {LOG_KEY}\nquorum none\n"
        assert go.ask("proof", entries=[entries[size - 1]], proof=proof, policy=policy)["size"] == size
    sequencer.close()


def test_the_entries_have_every_length_that_there_is() -> None:
    """None, and the most that a bundle can hold."""
    lengths = {len(entry) for entry in entries_of(300)}
    assert {0, 65_535} < lengths
