"""How `device/video/labels/weights.onnx.xz` was made, so that anybody can make it again and compare.

    npm pack @mediapipe/objectron@0.4.1675468480     (Apache-2.0; the archive's digest is in weights.md)
    pip install onnx==1.23.2 tflite==2.18.0          (needed for this alone)
    python -m tests.video.labels_convert mediapipe-objectron-0.4.1675468480.tgz OUT.onnx.xz

The archive holds an SSD MobileNetV2 in TensorFlow Lite's format. It becomes ONNX, since OpenCV 5 gives one output of
two of the original; on the way

- its three colour channels are added to one, since a recorder looks at luma alone;
- of its 24 classes those remain that become a label;
- its weights are rounded to 255 steps in each output channel, so that they pack into little more than a byte each.
"""

import lzma
import sys
import tarfile
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.video.labels.model import CLASSES

Real = NDArray[np.float32]

_MEMBER = "package/objectron_solution_packed_assets.data"
_NAMES_BYTES = 184
_SMALL = 2048


@dataclass(slots=True)
class _Graph:
    """ONNX nodes and constants, growing; `onnx` is the package."""

    onnx: Any
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def number(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, value: Real) -> str:
        """In 16 bits; large ones in 255 steps for each output channel, of which xz then stores little more than 8."""
        if value.size > _SMALL:
            step = np.maximum(np.abs(value).reshape(len(value), -1).max(axis=1), 1e-8) / 127
            step = step.reshape(-1, *[1] * (value.ndim - 1)).astype(np.float32)
            value = np.round(value / step) * step
        half = self.number(f"{name}.half", value.astype(np.float16))
        # OpenCV folds this while it loads.
        return self.add("Cast", [half], name, to=self.onnx.TensorProto.FLOAT)


class _Source:
    """The TensorFlow Lite model: its operators in order, its constants."""

    def __init__(self, data: bytes) -> None:
        self.tflite: Any = import_module("tflite")
        self.model: Any = self.tflite.Model.GetRootAsModel(data, 0)
        self.graph: Any = self.model.Subgraphs(0)
        self._halves: dict[int, int] = {}

    def operators(self) -> list[tuple[str, Any]]:
        kinds = {value: name for name, value in vars(self.tflite.BuiltinOperator).items() if isinstance(value, int)}
        found = []
        for number in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(number)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            kind = kinds[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            if kind == "DEQUANTIZE":
                self._halves[operator.Outputs(0)] = operator.Inputs(0)
            else:
                found.append((kind, operator))
        return found

    def constant(self, tensor: int) -> Real:
        stored = self.graph.Tensors(self._halves.get(tensor, tensor))
        kind = np.float16 if tensor in self._halves else np.float32
        raw = self.model.Buffers(stored.Buffer()).DataAsNumpy().tobytes()
        return np.frombuffer(raw, kind).astype(np.float32).reshape(stored.ShapeAsNumpy())

    def options(self, operator: Any, name: str) -> Any:
        options = getattr(self.tflite, name)()
        table = operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options


def convert(data: bytes, names: list[str]) -> bytes:
    """Return the model as ONNX: input (1, 1, 300, 300) in -1 to 1, output (1, 1917, 4 + classes)."""
    onnx: Any = import_module("onnx")
    source = _Source(data)
    graph = _Graph(onnx)
    keep = [names.index(name) for name in CLASSES]
    made: dict[int, str] = {source.graph.Inputs(0): "luma"}
    parts: dict[int, list[str]] = {4: [], len(keep): []}
    operators = source.operators()
    classifying = {
        operator.Inputs(0)
        for kind, operator in operators
        if kind == "RESHAPE" and source.graph.Tensors(operator.Outputs(0)).ShapeAsNumpy()[-1] == len(names)
    }
    for number, (kind, operator) in enumerate(operators):
        inputs = [int(tensor) for tensor in operator.InputsAsNumpy()]
        name = f"n{number}"
        if kind in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            kept = _kept_rows(
                source, operator, classifying=operator.Outputs(0) in classifying, keep=keep, classes=len(names)
            )
            output = _convolution(graph, source, operator, name, into=made[inputs[0]], rows=kept)
        elif kind == "ADD":
            output = graph.add("Add", [made[tensor] for tensor in inputs], name)
        elif kind == "RESHAPE" and made[inputs[0]] not in {"boxes", "all"}:
            width = len(keep) if inputs[0] in classifying else 4
            rows = graph.add("Transpose", [made[inputs[0]]], f"{name}.rows", perm=[0, 2, 3, 1])
            shape = graph.number(f"{name}.shape", np.array([1, -1, width], np.int64))
            output = graph.add("Reshape", [rows, shape], name)
            parts[width].append(output)
        else:
            output = "boxes"
        made[int(operator.Outputs(0))] = output
    joined = [graph.add("Concat", found, f"of{width}", axis=1) for width, found in parts.items()]
    graph.add("Concat", joined, "found", axis=2)
    value = onnx.helper.make_tensor_value_info
    inner = onnx.helper.make_graph(
        graph.nodes,
        "ssd",
        [value("luma", onnx.TensorProto.FLOAT, [1, 1, 300, 300])],
        [value("found", onnx.TensorProto.FLOAT, [1, 1917, 4 + len(keep)])],
        graph.constants,
    )
    model = onnx.helper.make_model(inner, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    octets: bytes = model.SerializeToString(deterministic=True)
    return octets


def _kept_rows(source: _Source, operator: Any, *, classifying: bool, keep: list[int], classes: int) -> list[int]:
    channels = source.graph.Tensors(operator.Outputs(0)).Shape(3)
    if not classifying:
        return list(range(channels))
    return [anchor * classes + number for anchor in range(channels // classes) for number in keep]


def _convolution(graph: _Graph, source: _Source, operator: Any, name: str, *, into: str, rows: list[int]) -> str:
    deep = source.graph.Tensors(operator.Inputs(1)).Shape(0) == 1 and operator.BuiltinOptionsType() == 2
    options = source.options(operator, "DepthwiseConv2DOptions" if deep else "Conv2DOptions")
    weights, bias = source.constant(operator.Inputs(1)), source.constant(operator.Inputs(2))
    weights = weights.transpose(3, 0, 1, 2) if deep else weights.transpose(0, 3, 1, 2)
    if into == "luma":
        weights = weights.sum(axis=1, keepdims=True)
    tensor = source.graph.Tensors(operator.Outputs(0))
    weights, bias = weights[rows], bias[rows]
    side, stride = weights.shape[2], options.StrideW()
    before = source.graph.Tensors(operator.Inputs(0)).Shape(1)
    pad = max(0, (tensor.Shape(1) - 1) * stride + side - before)
    output = graph.add(
        "Conv",
        [into, graph.weight(f"{name}.w", weights), graph.weight(f"{name}.b", bias)],
        f"{name}.conv",
        kernel_shape=[side, side],
        strides=[stride, stride],
        pads=[pad // 2, pad // 2, pad - pad // 2, pad - pad // 2],
        group=len(weights) if deep else 1,
    )
    if options.FusedActivationFunction() != source.tflite.ActivationFunctionType.RELU6:
        return output
    if not graph.constants or "six" not in {constant.name for constant in graph.constants}:
        graph.number("zero", np.array(0, np.float32))
        graph.number("six", np.array(6, np.float32))
    return graph.add("Clip", [output, "zero", "six"], name)


def main(archive: Path, out: Path) -> None:
    """Read the archive, write the model."""
    with tarfile.open(archive) as tar:
        member = tar.extractfile(_MEMBER)
        if member is None:
            raise SystemExit(f"{archive} has no file {_MEMBER}")
        packed = member.read()
    names = packed[:_NAMES_BYTES].decode().split("\n")
    model = convert(packed[_NAMES_BYTES:], [name for name in names if name])
    out.write_bytes(lzma.compress(model, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
