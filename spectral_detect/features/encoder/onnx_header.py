"""Read what an ONNX file says of its inputs and outputs, without a library for it: a few fields of protobuf.

Nothing of the file is run. Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spectral_detect.errors import FeatureError

GRAPH = 7  # of a ModelProto
NODE, INITIALIZER, INPUT, OUTPUT = 1, 5, 11, 12  # of a GraphProto
NODE_OUTPUT, NODE_NAME, NODE_ATTRIBUTE = 2, 3, 5
TENSOR, SUBGRAPH, TENSORS, SUBGRAPHS = 5, 6, 10, 11  # of an AttributeProto
TENSOR_NAME, EXTERNAL_DATA, DATA_LOCATION = 8, 13, 14  # of a TensorProto
DEEPEST = 8  # graphs within graphs
FLOAT32 = 1

Field = tuple[int, int | memoryview]
NOT_ONNX = "not an ONNX file, or a damaged one"


@dataclass(frozen=True)
class Port:
    """An input or output of a network.

    Attributes
    ----------
    name : str
        Its name.
    kind : int
        ONNX's number of the type of its elements; 1 is float32.
    shape : tuple of int or None
        None for each length that is left open.
    """

    name: str
    kind: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class OnnxHeader:
    """The inputs of a network (its weights not among them), its outputs, and whether weights lie in other files."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    has_weights_elsewhere: bool


def read_header(content: bytes) -> OnnxHeader:
    """Return the header of the bytes of an ONNX file.

    Raises
    ------
    FeatureError
        If they are not such a file.
    """
    try:
        graphs = [value for number, value in _fields(memoryview(content)) if number == GRAPH]
        if len(graphs) != 1 or not isinstance(graphs[0], memoryview):
            raise FeatureError(NOT_ONNX)
        return _of_graph(graphs[0])
    except (ValueError, IndexError, TypeError, RecursionError) as error:
        if isinstance(error, FeatureError):
            raise
        raise FeatureError(NOT_ONNX) from None


def layers_of(content: bytes) -> dict[str, str]:
    """Return the layers of an ONNX file: names of tensors, and of nodes for the first tensor that they give.

    Raises
    ------
    FeatureError
        If it is not such a file.
    """
    found: dict[str, str] = {}
    try:
        (graph,) = (_as_bytes(value) for number, value in _fields(memoryview(content)) if number == GRAPH)
        for node in (_as_bytes(value) for number, value in _fields(graph) if number == NODE):
            tensors = [_text(value) for number, value in _fields(node) if number == NODE_OUTPUT]
            found |= {name: name for name in tensors if name}
            if tensors and (name := _text(_last(node, NODE_NAME))):
                found.setdefault(name, tensors[0])
    except (ValueError, IndexError, TypeError):
        raise FeatureError(NOT_ONNX) from None
    return found


def with_outputs(content: bytes, names: Iterable[str], *, typed: bool) -> bytes:
    """Return an ONNX file that gives these tensors as outputs as well.

    A second part of a message continues the first: https://protobuf.dev/programming-guides/encoding/#last-one-wins.
    `typed`: they are said to be float32 of four dimensions, which OpenCV asks for.
    """
    there = {port.name for port in read_header(content).outputs}
    of_maps = _field(2, _field(1, b"\x08\x01" + _field(2, 4 * _field(1, b""))))
    added = [_field(1, name.encode()) + (of_maps if typed else b"") for name in names if name not in there]
    return content + b"".join(_field(GRAPH, _field(OUTPUT, value)) for value in added)


def _field(number: int, content: bytes) -> bytes:
    """Return a field of bytes."""
    length, digits = len(content), []
    while length > 0x7F:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *digits, length]) + content


def _of_graph(graph: memoryview) -> OnnxHeader:
    found = list(_fields(graph))
    weights = {_text(_last(_as_bytes(value), TENSOR_NAME)) for number, value in found if number == INITIALIZER}
    inputs = [_port(_as_bytes(value)) for number, value in found if number == INPUT]
    outputs = [_port(_as_bytes(value)) for number, value in found if number == OUTPUT]
    own = tuple(port for port in inputs if port.name not in weights)
    return OnnxHeader(own, tuple(outputs), _leads_elsewhere(graph))


def _leads_elsewhere(graph: memoryview, depth: int = 0) -> bool:
    """Tell whether a weight of a graph, or of one within it, lies in another file."""
    if depth > DEEPEST:
        raise ValueError("graphs within graphs")
    for number, value in _fields(graph):
        if number == INITIALIZER and _is_elsewhere(_as_bytes(value)):
            return True
        if number == NODE and any(
            _attribute_leads_elsewhere(_as_bytes(attribute), depth)
            for kind, attribute in _fields(_as_bytes(value))
            if kind == NODE_ATTRIBUTE
        ):
            return True
    return False


def _attribute_leads_elsewhere(attribute: memoryview, depth: int) -> bool:
    for number, value in _fields(attribute):
        if number in (TENSOR, TENSORS) and _is_elsewhere(_as_bytes(value)):
            return True
        if number in (SUBGRAPH, SUBGRAPHS) and _leads_elsewhere(_as_bytes(value), depth + 1):
            return True
    return False


def _is_elsewhere(tensor: memoryview) -> bool:
    return any(number == EXTERNAL_DATA or (number == DATA_LOCATION and value == 1) for number, value in _fields(tensor))


def _port(message: memoryview) -> Port:
    """Return a ValueInfoProto: its name (1) and its type (2), of that the tensor (1): elements (1), shape (2)."""
    name, tensor = _text(_last(message, 1)), _message(_message(message, 2), 1)
    kind = _last(tensor, 1)
    lengths = [_last(_as_bytes(dim), 1) for number, dim in _fields(_message(tensor, 2)) if number == 1]
    shape = tuple(length if isinstance(length, int) and 0 < length < 2**31 else None for length in lengths)
    return Port(name, kind if isinstance(kind, int) else 0, shape)


def _message(message: memoryview, number: int) -> memoryview:
    found = _last(message, number)
    return found if isinstance(found, memoryview) else memoryview(b"")


def _last(message: memoryview, number: int) -> int | memoryview | None:
    found = None
    for field, value in _fields(message):
        found = value if field == number else found
    return found


def _text(value: int | memoryview | None) -> str:
    return bytes(value).decode("utf-8") if isinstance(value, memoryview) else ""


def _as_bytes(value: int | memoryview) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError("a number where a message was expected")
    return value


def _fields(message: memoryview) -> Iterator[Field]:
    """Yield number and value of each field; one of fixed length counts as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        length, at = _varint(message, at) if wire == 2 else ({1: 8, 5: 4}.get(wire, -1), at)
        if length < 0 or at + length > len(message):
            raise ValueError("a field that ends beyond its message")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
