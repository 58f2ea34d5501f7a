"""Files that outlast a power cut: whole or not at all, and synced in the order that makes it so."""

import stat
from pathlib import Path

import pytest

from broker.files import draft_of, make_folder, read_bytes, read_text, replace_durably, replace_many, write_new


class Synced:
    """An `fsync` that notes what it was given, in order."""

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def __call__(self, handle: int) -> None:
        self.paths.append(Path(f"/proc/self/fd/{handle}").readlink())


def test_a_new_file_is_synced_before_it_has_its_name(tmp_path: Path) -> None:
    """First the bytes, under another name; then the folder, which holds the name. One that exists stays."""
    fsync = Synced()
    write_new(tmp_path / "key", b"secret", fsync=fsync)
    assert [path.parent for path in fsync.paths] == [tmp_path, tmp_path.parent]
    assert fsync.paths[0] != tmp_path / "key"
    assert (tmp_path / "key").read_bytes() == b"secret"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "key", b"other", fsync=fsync)
    assert (tmp_path / "key").read_bytes() == b"secret"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_file_that_could_not_be_synced_does_not_appear(tmp_path: Path) -> None:
    """A disk that fails leaves what was there before, and no half of a new file."""

    def fail(_handle: int) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "old").write_bytes(b"as it was")
    with pytest.raises(OSError, match="Input/output"):
        write_new(tmp_path / "new", b"new", fsync=fail)
    with pytest.raises(OSError, match="Input/output"):
        replace_durably(tmp_path / "old", b"new", fsync=fail)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "old").read_bytes() == b"as it was"


def test_a_replacement_takes_neither_mode_nor_link_of_what_was_there(tmp_path: Path) -> None:
    """A wide-open file, or a link to elsewhere, is replaced and not written through; so is a draft of before."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"not ours")
    for path in (tmp_path / "file", draft_of(tmp_path / "file")):
        path.symlink_to(elsewhere)
    replace_durably(tmp_path / "file", b"ours")
    assert not (tmp_path / "file").is_symlink()
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert elsewhere.read_bytes() == b"not ours"


def test_many_files_share_the_syncs_of_their_folders(tmp_path: Path) -> None:
    """More files than may be open at a time, each synced once, and each folder once at the end."""
    fsync = Synced()
    (tmp_path / "inner").mkdir()
    files = {tmp_path / "inner" / str(number): b"%d" % number for number in range(150)} | {tmp_path / "outer": b""}
    replace_many(files, mode=0o644, fsync=fsync)
    assert {path: path.read_bytes() for path in files} == files
    assert len(fsync.paths) == 151 + 2
    assert set(fsync.paths[-2:]) == {tmp_path, tmp_path / "inner"}


def test_a_folder_is_synced_into_its_parents(tmp_path: Path) -> None:
    """Each folder that was missing is made, with the mode asked for, and its parent synced; what is there is left.

    But its name is synced as well: whoever made it may have been killed before that.
    """
    fsync = Synced()
    make_folder(tmp_path / "a" / "b", fsync=fsync)
    assert fsync.paths == [tmp_path.parent, tmp_path, tmp_path / "a"]
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    (tmp_path / "a" / "b").chmod(0o750)
    make_folder(tmp_path / "a" / "b", fsync=fsync)
    assert fsync.paths[3:] == [tmp_path / "a"]
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o750
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_folder(tmp_path / "file" / "below")


class UserError(Exception):
    """What these readers are told to raise."""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", "No such file"),
        ("folder", "Is a directory"),
        ("latin", r"not UTF-8 text \(byte 3\)"),
        ("large", "more than the 10 bytes"),
        ("file/below", "Not a directory"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str, why: str) -> None:
    """Missing, a folder, not UTF-8, too large: the caller's error, with the path and the reason."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"fine")
    (tmp_path / "latin").write_bytes("café".encode("latin-1"))
    (tmp_path / "large").write_bytes(b"x" * 11)
    with pytest.raises(UserError, match=f"{name}.*{why}") as caught:
        read_text(tmp_path / name, max_bytes=10, error=UserError)
    assert "\n" not in str(caught.value)
    assert read_text(tmp_path / "file", max_bytes=10, error=UserError) == "fine"
    assert read_bytes(tmp_path / "latin", max_bytes=10, error=UserError) == b"caf\xe9"
