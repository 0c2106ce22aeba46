"""What an ONNX decoder takes and gives, read from its file without loading it and without the onnx package."""

from collections import defaultdict
from dataclasses import dataclass

from edge.bundle.protobuf import fields, number

Message = dict[int, list[memoryview]]

ATTENTION = "GroupQueryAttention"
TYPES = {1: "float32", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 16: "bfloat16"}
"""onnx.TensorProto.DataType, as far as decoders have such inputs."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output; a dimension that is not fixed is None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Attention:
    """A GroupQueryAttention node. `attributes` are its integers."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, int]


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """`domains` are those of operators that the file does not define itself; `data_files` hold weights."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    attentions: list[Attention]
    domains: set[str]
    data_files: set[str]
    branches: bool
    """Whether there is an `If` node."""


def read_facts(model: memoryview, file: str) -> GraphFacts:
    """Of an ONNX file's bytes, `file` in errors. Weights are skipped, so it costs as little for large files.

    Raises BundleError.
    """
    whole = _message(model, file)
    graph = _message(whole[7][0], file) if whole[7] else {}
    graph = defaultdict(list, graph)
    stored, data_files = set(), set()
    for item in graph[5]:
        tensor = _message(item, file)
        stored.add(_text(tensor, 8))
        for entry in tensor[13]:
            pair = _message(entry, file)
            if _text(pair, 1) == "location":
                data_files.add(_text(pair, 2))
    attentions, domains, branches = [], set(), False
    for item in graph[1]:
        node = _message(item, file)
        kind = _text(node, 4)
        domains.add(_text(node, 7))
        branches |= kind == "If"
        if kind == ATTENTION:
            attentions.append(_attention(node, file))
    own = {_text(_message(function, file), 10) for function in whole[25]}
    inputs = [one for item in graph[11] if (one := _tensor(item, file)).name not in stored]
    outputs = [_tensor(item, file) for item in graph[12]]
    return GraphFacts(
        {one.name: one for one in inputs},
        {one.name: one for one in outputs},
        attentions,
        domains - own,
        data_files,
        branches,
    )


def _attention(node: Message, file: str) -> Attention:
    attributes = {}
    for item in node[5]:
        attribute = _message(item, file)
        if attribute[3]:
            attributes[_text(attribute, 1)] = number(attribute[3][-1], file)
    inputs, outputs = ([bytes(one).decode("utf-8", "replace") for one in node[field]] for field in (1, 2))
    return Attention(tuple(inputs), tuple(outputs), attributes)


def _tensor(item: memoryview, file: str) -> Tensor:
    """Of a ValueInfoProto; what is no tensor has no type."""
    info = _message(item, file)
    kind = _inner(_inner(info, 2, file), 1, file)
    dtype = number(kind[1][-1], file) if kind[1] else 0
    dimensions = [_message(one, file) for one in _inner(kind, 2, file)[1]]
    shape = tuple(number(one[1][-1], file) if one[1] else None for one in dimensions)
    return Tensor(_text(info, 1), TYPES.get(dtype, f"type {dtype}"), shape)


def _message(data: memoryview, file: str) -> Message:
    found: Message = defaultdict(list)
    for field, _, value in fields(data, file):
        found[field].append(value)
    return found


def _inner(message: Message, field: int, file: str) -> Message:
    return _message(message[field][-1], file) if message[field] else defaultdict(list)


def _text(message: Message, field: int) -> str:
    return bytes(message[field][-1]).decode("utf-8", "replace") if message[field] else ""
