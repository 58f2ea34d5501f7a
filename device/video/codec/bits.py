"""Reads bits, most significant first, as every codec's headers are written."""

from device.video.errors import BitstreamError

# An Exp-Golomb code of more leading zeros would not fit into 32 bits.
_MAX_GOLOMB_ZEROS = 31


class Bits:
    """Some bytes as bits; BitstreamError behind their end, saying that `what` is cut short."""

    def __init__(self, data: bytes, *, what: str, codec: str) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)
        self._what = what
        self._codec = codec

    def u(self, count: int) -> int:
        """Unsigned integer of so many bits."""
        if count > self._left:
            raise BitstreamError(f"{self._what} is cut short", codec=self._codec)
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def ue(self) -> int:
        """Unsigned Exp-Golomb code (ITU-T H.264, 9.1)."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > _MAX_GOLOMB_ZEROS:
                raise BitstreamError(f"{self._what} holds an endless number", codec=self._codec)
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """Signed Exp-Golomb code (ITU-T H.264, 9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)
