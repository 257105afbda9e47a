"""Small ONNX models, written as the protobuf messages that they are (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

pointwise([[1, 2], [3, 4]], bias=[0, 1])     # class scores: a weighted sum of the bands of each pixel
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

FLOAT, UINT8 = 1, 2
_OPSET = 13
_IR_VERSION = 8
_VARINT, _BYTES = 0, 2
Side = int | str


def _varint(value: int) -> bytes:
    done = bytearray()
    while value > 0x7F:
        done.append(value & 0x7F | 0x80)
        value >>= 7
    done.append(value)
    return bytes(done)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _tensor(name: str, array: np.ndarray[Any, Any]) -> bytes:
    data = np.ascontiguousarray(array, np.float32)
    return b"".join(_field(1, side) for side in data.shape) + _field(2, FLOAT) + _field(8, name) + _field(9, data.tobytes())


def _value(name: str, shape: Sequence[Side], kind: int) -> bytes:
    sides = b"".join(_field(1, _field(2 if isinstance(side, str) else 1, side)) for side in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, sides)))


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: int | Sequence[int]) -> bytes:
    """Attributes are integers or lists of them."""
    listed = b"".join(_field(5, _attribute(name, value)) for name, value in attributes.items())
    names = b"".join(_field(1, name) for name in inputs) + b"".join(_field(2, name) for name in outputs)
    return names + _field(4, operator) + listed


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, 2)
    return _field(1, name) + b"".join(_field(8, one) for one in value) + _field(20, 7)


def model(
    nodes: Sequence[bytes],
    inputs: dict[str, Sequence[Side]],
    outputs: dict[str, Sequence[Side]],
    constants: dict[str, Any] | None = None,
    *,
    kind: int = FLOAT,
    answer_kind: int = FLOAT,
) -> bytes:
    """A model; sides of shapes are numbers or names of what varies."""
    graph = b"".join(_field(1, one) for one in nodes) + _field(2, "graph")
    graph += b"".join(_field(5, _tensor(name, np.asarray(value))) for name, value in (constants or {}).items())
    graph += b"".join(_field(11, _value(name, shape, kind)) for name, shape in inputs.items())
    graph += b"".join(_field(12, _value(name, shape, answer_kind)) for name, shape in outputs.items())
    return _field(1, _IR_VERSION) + _field(8, _field(1, "") + _field(2, _OPSET)) + _field(7, graph)


def pointwise(
    weights: Any, bias: Any = None, *, batch: Side = "n", height: Side = "h", width: Side = "w", layout: str = "NCHW"
) -> bytes:
    """Scores (K, H, W) = weights (K, C) times the bands of each pixel, plus bias (K)."""
    matrix = np.asarray(weights, np.float32)
    classes, bands = matrix.shape
    constants = {"bias": np.zeros(classes) if bias is None else np.asarray(bias)}
    if layout == "NHWC":
        constants |= {"weights": matrix.T}
        nodes = [node("MatMul", ["x", "weights"], ["sum"]), node("Add", ["sum", "bias"], ["y"])]
        return model(nodes, {"x": (batch, height, width, bands)}, {"y": (batch, height, width, classes)}, constants)
    constants |= {"weights": matrix.reshape(classes, bands, 1, 1)}
    nodes = [node("Conv", ["x", "weights", "bias"], ["y"], kernel_shape=[1, 1])]
    return model(nodes, {"x": (batch, bands, height, width)}, {"y": (batch, classes, height, width)}, constants)
