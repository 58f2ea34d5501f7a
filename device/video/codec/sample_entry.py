"""What an MP4 says of its pictures (ISO/IEC 14496-12, 8.5.2): one entry a codec, written and read back. Pure.

H.264 is avc1 with avcC (ISO/IEC 14496-15), VP9 is vp09 with vpcC (VP Codec ISO Media File Format Binding 1.0).
"""

from device.video.codec.boxes import box, boxes, full_box, only_box, u32
from device.video.codec.h264 import is_idr, parse_avcc, parse_sps
from device.video.codec.vp9 import check_vpcc, read_frame
from device.video.errors import MuxError
from device.video.packets import Codec, CodecConfig

# Bytes of a visual sample entry before the boxes in it (12.1.3).
_FIXED_BYTES = 78
_WIDTH_AT = 24
_DOTS_PER_INCH = 0x00480000
_DEPTH = 0x0018
_NO_COLOUR_TABLE = 0xFFFF
_NAME_BYTES = 32
_STSD_HEAD = u32(0, 1)
_KINDS: dict[bytes, Codec] = {b"avc1": "h264", b"vp09": "vp9"}


def sample_entry(config: CodecConfig) -> bytes:
    """Return the one entry of an stsd box."""
    if config.codec == "h264":
        return box(b"avc1", _visual(config, name=b""), box(b"avcC", config.extradata))
    return box(b"vp09", _visual(config, name=b"VPC Coding"), full_box(b"vpcC", config.extradata, version=1))


def _visual(config: CodecConfig, *, name: bytes) -> bytes:
    return b"".join(
        (
            bytes(6),
            (1).to_bytes(2),
            bytes(16),
            config.width.to_bytes(2),
            config.height.to_bytes(2),
            u32(_DOTS_PER_INCH, _DOTS_PER_INCH, 0),
            (1).to_bytes(2),
            (bytes((len(name),)) + name).ljust(_NAME_BYTES, b"\0"),
            _DEPTH.to_bytes(2),
            _NO_COLOUR_TABLE.to_bytes(2),
        )
    )


def read_sample_entry(mp4: bytes) -> CodecConfig:
    """Return the configuration in an MP4 file; MuxError unless its one entry is just as `sample_entry` writes it."""
    stsd = only_box(mp4, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    entries = list(boxes(stsd[len(_STSD_HEAD) :]))
    if not stsd.startswith(_STSD_HEAD) or len(entries) != 1:
        raise MuxError("one kind of pictures was expected")
    kind, body = entries[0]
    codec = _KINDS.get(kind)
    if codec is None:
        raise MuxError("its pictures are of a kind that isn't written here")
    record = only_box(body[_FIXED_BYTES:], b"avcC") if codec == "h264" else only_box(body[_FIXED_BYTES:], b"vpcC")[4:]
    width, height = (int.from_bytes(body[at : at + 2]) for at in (_WIDTH_AT, _WIDTH_AT + 2))
    config = CodecConfig(codec=codec, width=width, height=height, extradata=record)
    if sample_entry(config) != stsd[len(_STSD_HEAD) :]:
        raise MuxError("not written by Latchstring")
    return config


def is_keyframe(codec: Codec, data: bytes) -> bool:
    """Whether decoding may begin at this access unit; BitstreamError if it is none of the codec's."""
    return is_idr(data) if codec == "h264" else read_frame(data).keyframe


def check_config(config: CodecConfig, keyframe: bytes) -> None:
    """Raise BitstreamError or MuxError unless a configuration is that of pictures which begin with this keyframe."""
    if config.codec == "h264":
        _, sets = parse_avcc(config.extradata)
        size = parse_sps(sets.sps[0]) if sets.sps else None
        said = (size.width, size.height) if size else None
    else:
        check_vpcc(config.extradata, keyframe)
        said = read_frame(keyframe).size
    if said != (config.width, config.height):
        raise MuxError("it says another size than its pictures have")
