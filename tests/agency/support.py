"""What the agency's tests share: a log with one key, an agency's folder, a film and its statements, a bundle."""

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.agency import AgencyFolder, OpenedBundle, init, open_bundle
from broker.agency.film import is_idr
from broker.wire.encoding import to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import inclusion_proof, leaf_hash, node_hash, root_hash
from broker.wire.notes import ED25519, Checkpoint, VerifierKey, sign_note
from broker.wire.proofs import Policy, Proof, make_policy, parse_policy
from broker.wire.records import (
    EXCLUDED_PURPOSES,
    Agency,
    Area,
    FileDigest,
    Release,
    Request,
    Revocation,
    SegmentStatement,
    SharedClip,
)
from broker.wire.segments import WireAccessUnit, encode_segment, segment_digest

NOW_US = 1_780_000_000_000_000
HOUR_US = 3_600_000_000
FILMED_US = NOW_US - 3 * HOUR_US
ORIGIN = "log.northtown.example"
GOP = 15
WIDTH, HEIGHT = 160, 96
MUXING = {"video_track_timescale": "90000"}


def key_of(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


LOG_KEY = key_of("log")
DEVICE_KEY = key_of("device")
POLICY_TEXT = make_policy(VerifierKey(ORIGIN, ED25519, public_bytes(LOG_KEY)))


class TinyLog:
    """A whole log in a list: hands out tlog-proofs."""

    def __init__(self, key: Ed25519PrivateKey = LOG_KEY) -> None:
        self.key = key
        self.entries: list[bytes] = [b"an entry before ours", b"and another"]

    def add(self, entry: bytes) -> int:
        if entry not in self.entries:
            self.entries.append(entry)
        return self.entries.index(entry)

    def _hash(self, level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hash(self.entries[index])
        return node_hash(self._hash(level - 1, 2 * index), self._hash(level - 1, 2 * index + 1))

    def note(self) -> bytes:
        size = len(self.entries)
        checkpoint = Checkpoint(ORIGIN, size, root_hash(size, self._hash))
        return str(sign_note(checkpoint.text, ORIGIN, self.key)).encode()

    def proof(self, index: int) -> bytes:
        size = len(self.entries)
        return str(Proof(index, tuple(inclusion_proof(index, size, self._hash)), self.note())).encode()


OPERATOR_KEY = key_of("operator")


def admission(key: bytes, *, agency: str = "northtown-police", at_us: int = NOW_US) -> bytes:
    """Return an agency's record as the operator would log it."""
    record = Agency(
        agency=agency,
        name="Northtown Police",
        domain="northtown.example",
        contact="desk@northtown.example",
        key=key,
        admitted_at=at_us,
        admitted_by="the operator",
        evidence="a letter",
    )
    return record.sign(OPERATOR_KEY)


def revocation(*, agency: str = "northtown-police", at_us: int = NOW_US) -> bytes:
    """Return the end of an agency's admission as the operator would log it."""
    record = Revocation(agency=agency, at=at_us, revoked_by="the operator", reason="asked too much")
    return record.sign(OPERATOR_KEY)


def make_folder(
    path: Path, *, agency: str = "northtown-police", contact: str = "desk@northtown.example"
) -> AgencyFolder:
    return init(
        path,
        agency=agency,
        name="Northtown Police",
        domain="northtown.example",
        contact=contact,
        log_url="http://broker/log",
        inbox_url="http://broker/inbox",
        policy=POLICY_TEXT,
        now_us=NOW_US,
        operator_key=to_base64(public_bytes(OPERATOR_KEY)),
    )


def make_request(recipient: str, *, agency: str = "northtown-police", case: str = "26-0001") -> Request:
    return Request(
        agency=agency,
        case=case,
        incident="package-theft",
        description="A parcel was taken from a porch.",
        contact="desk@northtown.example",
        area=Area(lat_e7=520_000_000, lon_e7=130_000_000, radius_m=300),
        start=NOW_US - 4 * HOUR_US,
        end=NOW_US - 2 * HOUR_US,
        devices=("camera", "doorbell"),
        recipient=recipient,
        purpose="to find who took the parcel",
        retention_days=30,
        sharing=(),
        excludes=EXCLUDED_PURPOSES,
        posted_at=NOW_US - HOUR_US,
        expires_at=NOW_US + 24 * HOUR_US,
    )


@dataclass(frozen=True)
class Film:
    """A clip's MP4 and the statements of its segments."""

    mp4: bytes
    statements: tuple[bytes, ...]
    clip: SharedClip


@cache
def encoded(gops: int, *, open_gop: bool = False) -> bytes:
    """Return an MP4 of a short moving scene, encoded by x264 with B-frames.

    Groups of pictures are closed, or open: then the first picture alone is an IDR picture, the others recovery points.
    """
    noise = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)
    chroma = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4", options=MUXING) as out:
        stream = out.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        params = f"keyint={GOP}:min-keyint={GOP}:scenecut=0:open-gop={int(open_gop)}:bframes=2"
        stream.options = {"preset": "ultrafast", "x264-params": params}
        for at in range(gops * GOP):
            frame = av.VideoFrame.from_ndarray(np.vstack([np.roll(noise, at, axis=1), chroma]), "yuv420p")
            frame.pts = at
            frame.time_base = Fraction(1, 15)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return memory.getvalue()


def coded_units(mp4: bytes) -> tuple[bytes, list[WireAccessUnit]]:
    """Return (avcC record, units) of an MP4."""
    with av.open(io.BytesIO(mp4), "r", format="mov") as container:
        video = container.streams.video[0]
        units = [
            WireAccessUnit(packet.dts, packet.pts, is_idr(bytes(packet)), bytes(packet))
            for packet in container.demux(video)
            if packet.dts is not None and packet.pts is not None
        ]
        return bytes(video.codec_context.extradata or b""), units


def mux(units: Sequence[WireAccessUnit], like: bytes) -> bytes:
    """Return an MP4 of coded units, times as given, its track described like that of another MP4."""
    memory = io.BytesIO()
    with (
        av.open(io.BytesIO(like), "r", format="mov") as template,
        av.open(memory, "w", format="mp4", options=MUXING) as out,
    ):
        stream = out.add_stream_from_template(template.streams.video[0])
        for unit in units:
            packet = av.Packet(unit.data)
            packet.stream, packet.time_base = stream, Fraction(1, 90_000)
            packet.dts, packet.pts, packet.is_keyframe = unit.dts, unit.pts, unit.keyframe
            out.mux(packet)
    return memory.getvalue()


def film(
    *,
    gops: int = 4,
    gops_per_segment: int = 1,
    file: str = "clip-1.mp4",
    bend: Callable[[int, SegmentStatement], SegmentStatement] = lambda _at, statement: statement,
    gap_us: int = 0,
    signer: Ed25519PrivateKey = DEVICE_KEY,
) -> Film:
    """Film a clip: each segment's statement signed into a chain, `bend` may falsify one before it is signed.

    `gap_us` is a silence in the middle of the clip.
    """
    source = encoded(gops)
    extradata, units = coded_units(source)
    step = GOP * gops_per_segment
    shift = gap_us * 9 // 100
    pieces = [units[at : at + step] for at in range(0, len(units), step)]
    placed = [
        replace(unit, dts=unit.dts + moved, pts=unit.pts + moved)
        for at, piece in enumerate(pieces)
        for moved in [shift if at >= len(pieces) // 2 else 0]
        for unit in piece
    ]
    prev = "0" * 64
    statements: list[bytes] = []
    start_us, duration_us = FILMED_US, step * 1_000_000 // 15
    for at, piece in enumerate(pieces):
        plain = encode_segment(codec="h264", width=WIDTH, height=HEIGHT, extradata=extradata, units=piece)
        late = gap_us if at >= len(pieces) // 2 else 0
        statement = SegmentStatement(
            device="porch",
            camera="main",
            seq=100 + at,
            start=start_us + at * duration_us + late,
            duration_us=duration_us,
            sha256=segment_digest(plain),
            prev=prev,
        )
        statement = bend(at, statement)
        statements.append(statement.sign(signer))
        prev = hashlib.sha256(statement.payload()).hexdigest()
    clip = SharedClip(
        file=file,
        start=start_us,
        end=start_us + len(pieces) * duration_us + gap_us,
        first_seq=100,
        last_seq=99 + len(pieces),
        transformations=(),
    )
    return Film(mux(placed, source), tuple(statements), clip)


@dataclass
class BundleMaker:
    """Makes a bundle for an agency's folder; every field may be bent before `sealed` is called."""

    folder: AgencyFolder
    films: list[Film]
    log: TinyLog = field(default_factory=TinyLog)
    request: bytes = b""
    proof: bytes = b""
    release_changes: dict[str, Any] = field(default_factory=dict)
    device_key: Ed25519PrivateKey = DEVICE_KEY
    extra: dict[str, bytes] = field(default_factory=dict)
    swapped: dict[str, bytes] = field(default_factory=dict)  # put in after the release was signed
    left_out: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.request = make_request(self.folder.recipient()).sign(self.folder.signing_key())
        self.proof = self.log.proof(self.log.add(self.request))

    @property
    def leaf(self) -> str:
        return leaf_hash(self.request).hex()

    @property
    def policy(self) -> Policy:
        return parse_policy(POLICY_TEXT)

    def files(self) -> dict[str, bytes]:
        clips = [
            {"file": film.clip.file, "segments": [to_base64(statement) for statement in film.statements]}
            for film in self.films
        ]
        found = {film.clip.file: film.mp4 for film in self.films}
        found["request.dsse.json"] = self.request
        found["request.tlog-proof"] = self.proof
        found["segments.json"] = json.dumps({"clips": clips}).encode()
        found.update(self.extra)
        release = Release(
            request=self.leaf,
            device="porch",
            device_key=public_bytes(self.device_key),
            camera="main",
            kind="doorbell",
            recipient=self.folder.recipient(),
            clips=tuple(film.clip for film in self.films),
            files=tuple(
                FileDigest(name=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
                for name, data in found.items()
            ),
            made_at=NOW_US,
        )
        found["release.dsse.json"] = release.model_copy(update=self.release_changes).sign(self.device_key)
        found.update(self.swapped)
        return {name: data for name, data in found.items() if name not in self.left_out}

    def tar(self) -> bytes:
        return make_tar(self.files())

    def sealed(self) -> bytes:
        return seal(self.tar(), self.folder.recipient())

    def open(self, out: Path, sealed: bytes | None = None) -> OpenedBundle:
        data = self.sealed() if sealed is None else sealed
        return open_bundle(data, self.folder.identity(), out, request_leaf=self.leaf, policy=self.policy)


def seal(plain: bytes, recipient: str) -> bytes:
    return bytes(pyrage.encrypt(plain, [pyrage.x25519.Recipient.from_str(recipient)]))


def make_tar(files: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return memory.getvalue()


def flip(data: bytes, at: int, bit: int = 0) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


def some_bytes(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count)
