"""Small ONNX files, written by hand as protobuf: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

FLOAT, UINT8, INT64 = 1, 2, 7
KINDS = {"f": FLOAT, "u": UINT8, "i": INT64}


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, value: bytes | str | int | float) -> bytes:
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, array: np.ndarray, *, elsewhere: bool = False) -> bytes:
    shape = b"".join(field(1, length) for length in array.shape)
    start = shape + field(2, KINDS[array.dtype.kind]) + field(8, name)
    if elsewhere:
        return start + field(13, field(1, "location") + field(2, "weights.bin")) + field(14, 1)
    return start + field(9, array.tobytes())


def attribute(name: str, value: int | Sequence[int] | bytes) -> bytes:
    if isinstance(value, bytes):  # a tensor
        return field(1, name) + field(20, 4) + field(5, value)
    if isinstance(value, int):
        return field(1, name) + field(20, 2) + field(3, value)
    return field(1, name) + field(20, 7) + b"".join(field(8, item) for item in value)


def node(kind: str, inputs: str, output: str, **attributes: int | Sequence[int] | bytes) -> bytes:
    """`inputs` are names apart by spaces."""
    named = b"".join(field(1, name) for name in inputs.split()) + field(2, output) + field(3, f"make_{output}")
    return named + field(4, kind) + b"".join(field(5, attribute(*each)) for each in attributes.items())


def port(name: str, shape: Sequence[int | None], kind: int = FLOAT) -> bytes:
    dims = b"".join(field(1, b"" if length is None else field(1, length)) for length in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


def network(
    nodes: Sequence[bytes],
    *,
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    weights: Sequence[bytes] = (),
) -> bytes:
    graph = b"".join(field(1, each) for each in nodes) + field(2, "graph")
    graph += b"".join(field(5, each) for each in weights)
    graph += b"".join(field(11, each) for each in inputs) + b"".join(field(12, each) for each in outputs)
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def image_input(size: int | None = None) -> bytes:
    return port("image", (1, 3, size, size))


def means(size: int | None = None) -> bytes:
    """The mean of each channel: three features."""
    nodes = [node("GlobalAveragePool", "image", "pooled"), node("Flatten", "pooled", "means")]
    return network(nodes, inputs=[image_input(size)], outputs=[port("means", (1, 3))])


def detail(size: int | None = 64, *, gives_maps: bool = True) -> bytes:
    """How much neighbouring pixels differ, in four ways; the maps before the means may be an output as well."""
    weights = np.zeros((4, 3, 2, 2), np.float32)
    weights[:3, :, 0, 0] = weights[3, 0] = 1
    weights[0, :, 0, 1] = weights[1, :, 1, 0] = weights[2, :, 1, 1] = -1
    nodes = [
        node("Conv", "image kernels", "differences"),
        node("Abs", "differences", "maps"),
        node("GlobalAveragePool", "maps", "pooled"),
        node("Flatten", "pooled", "vector"),
    ]
    outputs = [port("maps", (1, 4, None, None)), port("vector", (1, 4))]
    outputs = outputs if gives_maps else outputs[1:]
    return network(nodes, inputs=[image_input(size)], outputs=outputs, weights=[tensor("kernels", weights)])


def of_one_node(kind: str, shape: Sequence[int | None] = (1, 3, 8, 8)) -> bytes:
    """The image after one kind of node."""
    return network([node(kind, "image", "output")], inputs=[image_input(8)], outputs=[port("output", shape)])


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
