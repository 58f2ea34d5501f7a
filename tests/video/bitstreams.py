"""H.264 written by hand: parameter sets and access units as no encoder would make them."""

import resource


def peak_mb() -> float:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Bits:
    """Writes bits, as 7.2 of H.264 has them."""

    def __init__(self) -> None:
        self._bits = ""

    def u(self, count: int, value: int) -> "Bits":
        self._bits += format(value, f"0{count}b")
        return self

    def ue(self, value: int) -> "Bits":
        code = format(value + 1, "b")
        self._bits += "0" * (len(code) - 1) + code
        return self

    def nal(self, kind: int) -> bytes:
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        payload = int(bits, 2).to_bytes(len(bits) // 8)
        out = bytearray([kind])
        for byte in payload:
            if out[-2:] == b"\0\0" and byte <= 3:
                out.append(3)
            out.append(byte)
        return bytes(out)


def sps(width: int, height: int, *, fps: int | None = None) -> bytes:
    """A sequence parameter set of the Baseline profile that says so large a picture, and a rate if asked."""
    bits = Bits().u(8, 66).u(8, 0).u(8, 40).ue(0).ue(0).ue(2).ue(1).u(1, 0)
    bits.ue(width // 16 - 1).ue(height // 16 - 1).u(1, 1).u(1, 1).u(1, 0)
    if fps is None:
        return bits.u(1, 0).nal(0x67)
    bits.u(1, 1).u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 1).u(32, 1).u(32, fps * 2).u(1, 1)
    return bits.u(1, 0).u(1, 0).u(1, 0).u(1, 0).nal(0x67)


def annexb(*nals: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + nal for nal in nals)
