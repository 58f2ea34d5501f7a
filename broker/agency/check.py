"""The checks of an unpacked bundle, file by file. Reads the folder it is given; decides nothing about keeping it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from broker.wire.encoding import WireError
from broker.wire.merkle import leaf_hash
from broker.wire.proofs import Policy, verify_proof
from broker.wire.records import Release, SharedClip

from .seals import AlteredError, check_chain, check_length, check_pictures, parse_segments
from .tarball import PROOF, RELEASE, REQUEST, SEGMENTS, Member

Seal = Literal["sealed as filmed", "derived", "altered", "unproven"]


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file of a bundle: whether all that can be checked of it holds, and a line that says so, or why not."""

    name: str
    bytes: int
    sha256: str
    verified: bool
    note: str


@dataclass(frozen=True, slots=True)
class ClipReport:
    """One clip: when it was filmed by the device's clock, and whether it is as filmed.

    "derived": re-encoded or changed, as the release says itself, by what stands in `transformations`; it was made from
    segments whose chain holds, and whether it shows what they do can't be checked.
    "altered": the pictures are not those that were signed. "unproven": there is no sound chain to compare with.
    """

    file: str
    start_us: int
    end_us: int
    seal: Seal
    note: str
    transformations: tuple[str, ...]


class BundleCheck:
    """The checks of one unpacked bundle; `clips` and `release` are filled when `files` has returned."""

    def __init__(
        self,
        *,
        folder: Path,
        members: list[Member],
        digests: dict[str, str],
        request_leaf: str,
        recipient: str,
        policy: Policy,
    ) -> None:
        """Check the files in `folder`, which hold `members` with these SHA-256 digests (hex)."""
        self._folder = folder
        self._sizes = {member.name: member.size for member in members}
        self._digests = digests
        self._leaf = request_leaf
        self._policy = policy
        self._segments: dict[str, tuple[bytes, ...]] | None = None
        self.clips: list[ClipReport] = []
        self.release: Release | None = None
        self._release_fault = ""
        try:
            self.release = self._check_release(recipient)
        except WireError as error:
            self._release_fault = str(error)

    def files(self) -> tuple[FileReport, ...]:
        """Return a report of every file that is there, or should be."""
        names = [*self._sizes, *(name for name in (REQUEST, PROOF, SEGMENTS, RELEASE) if name not in self._sizes)]
        if self.release is not None:
            names += [file.name for file in self.release.files if file.name not in names]
        return tuple(self._report(name) for name in names)

    def _report(self, name: str) -> FileReport:
        try:
            note = self._check_file(name)
        except (WireError, AlteredError) as error:
            return FileReport(
                name, self._sizes.get(name, 0), self._digests.get(name, ""), verified=False, note=str(error)
            )
        return FileReport(name, self._sizes[name], self._digests[name], verified=True, note=note)

    def _check_file(self, name: str) -> str:
        if name not in self._sizes:
            raise WireError("missing")
        if name == RELEASE:
            if self.release is None:
                raise WireError(self._release_fault)
            return "verified"
        if self.release is None:
            raise WireError("cannot be checked without a sound release")
        listed = {file.name: (file.bytes, file.sha256) for file in self.release.files}
        if name not in listed:
            raise WireError("not named by the release")
        altered = listed[name] != (self._sizes[name], self._digests[name])
        if name.endswith(".mp4"):
            return self._check_clip(name, self.release, altered=altered)
        if altered:
            raise WireError("altered: not the bytes that the release names")
        if name == REQUEST:
            self._check_request()
        elif name == PROOF:
            verify_proof(self._read(REQUEST), self._read(PROOF), self._policy)
        else:
            parse_segments(self._read(SEGMENTS))
        return "verified"

    def _check_request(self) -> None:
        if leaf_hash(self._read(REQUEST)).hex() != self._leaf:
            raise WireError("not the request that this bundle was fetched for")

    def _check_release(self, recipient: str) -> Release:
        if RELEASE not in self._sizes:
            raise WireError("missing")
        data = self._read(RELEASE)
        release = Release.open(data, key=Release.unverified(data).device_key)
        if release.request != self._leaf:
            raise WireError("the release answers another request")
        if release.recipient != recipient:
            raise WireError("the release names another recipient")
        for names in ([file.name for file in release.files], [clip.file for clip in release.clips]):
            if len(set(names)) != len(names):
                raise WireError("the release names a file twice")
        if not {clip.file for clip in release.clips} <= {file.name for file in release.files}:
            raise WireError("the release names a clip without its digest")
        if any(all(not clip.start <= at_us < clip.end for clip in release.clips) for at_us in release.rings):
            raise WireError("the release tells of a ring that none of its clips shows")
        return release

    def _check_clip(self, name: str, release: Release, *, altered: bool) -> str:
        clip = next((clip for clip in release.clips if clip.file == name), None)
        if clip is None:
            raise WireError("the release tells no time of this clip")
        seal, note = self._seal(clip, release, altered=altered)
        self.clips.append(ClipReport(name, clip.start, clip.end, seal, note, clip.transformations))
        text = f"{seal}: {note}" if note else seal
        if seal in {"altered", "unproven"}:
            raise WireError(text)
        return text

    def _seal(self, clip: SharedClip, release: Release, *, altered: bool) -> tuple[Seal, str]:
        if altered:
            return "altered", "not the bytes that the release names"
        try:
            if self._segments is None:
                self._segments = parse_segments(self._read(SEGMENTS))
            statements = check_chain(self._segments.get(clip.file, ()), clip, release)
            if clip.transformations:
                check_length(self._folder / clip.file, clip)
                return "derived", _derived_note(clip)
            check_pictures(self._folder / clip.file, statements)
        except WireError as error:
            return "unproven", str(error)
        except AlteredError as error:
            return "altered", str(error)
        return "sealed as filmed", ""

    def _read(self, name: str) -> bytes:
        if name not in self._sizes:
            raise WireError(f"{name} is missing")
        return (self._folder / name).read_bytes()  # capped when it was unpacked


def _derived_note(clip: SharedClip) -> str:
    segments = (
        f"segment {clip.first_seq}"
        if clip.first_seq == clip.last_seq
        else f"segments {clip.first_seq} to {clip.last_seq}"
    )
    done = "; ".join(clip.transformations)
    return f"{done}. Said to be made from {segments}, whose chain holds; its pictures can't be checked against them"
