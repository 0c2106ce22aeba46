"""Where an ONNX graph's weights lie, read straight from its protobuf bytes, without the onnx package.

ONNX Runtime opens whatever path a graph names; a graph from a stranger may name any file of the device. The walk
visits every message of the ONNX schema (onnx.proto) that can hold a tensor, and refuses what two protobuf readers
could understand differently.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from edge.bundle.names import path_fault, shown
from edge.bundle.protobuf import BYTES, VARINT, fields
from edge.bundle.typed_json import refuse

MAX_GRAPH_BYTES = 64 << 20
MAX_DEPTH = 64

# message -> field number -> (message in that field, may it occur more than once)
_CHILDREN: dict[str, dict[int, tuple[str, bool]]] = {
    "Model": {7: ("Graph", False), 20: ("Training", True), 25: ("Function", True)},
    "Training": {1: ("Graph", False), 2: ("Graph", False)},
    "Function": {7: ("Node", True), 11: ("Attribute", True)},
    "Graph": {1: ("Node", True), 5: ("Tensor", True), 15: ("Sparse", True)},
    "Node": {5: ("Attribute", True)},
    "Attribute": {
        5: ("Tensor", False),
        6: ("Graph", False),
        10: ("Tensor", True),
        11: ("Graph", True),
        22: ("Sparse", False),
        23: ("Sparse", True),
    },
    "Sparse": {1: ("Tensor", False), 2: ("Tensor", False)},
    "Tensor": {13: ("Entry", True)},
}
_TENSOR_DATA_LOCATION = 14


def check_external_data(graph: bytes | memoryview, name: str, sizes: Mapping[str, int]) -> int:
    """Every external tensor of `graph` (file `name` of a bundle) lies within a file of `sizes` (name -> bytes).

    Returns the number of external tensors. Raises BundleError: not a protobuf, a location that is not in `sizes`,
    a key other than location, offset, length and checksum, an offset or length that is no number or out of the file.
    """
    if not graph:
        refuse(f"{name} is empty.")
    count = 0
    for entries, external in _tensors(memoryview(graph), "Model", name, 0):
        if entries or external:
            count += 1
            _check_entries(entries, name, sizes)
    return count


def _check_entries(entries: list[memoryview], name: str, sizes: Mapping[str, int]) -> None:
    found: dict[str, str] = {}
    for entry in entries:
        pair: dict[int, str] = {}
        for field, wire, value in fields(entry, name):
            if field in pair or field not in (1, 2) or wire != BYTES:
                refuse(f"{name} holds a malformed external_data entry.")
            try:
                pair[field] = bytes(value).decode()
            except UnicodeDecodeError:
                refuse(f"{name} holds an external_data entry that is not UTF-8.")
        key = pair.get(1, "")
        if key in found or key not in ("location", "offset", "length", "checksum"):
            refuse(f"{name} holds the external_data key {ascii(key)[:80]} twice or unknown.")
        found[key] = pair.get(2, "")

    location = found.get("location", "")
    if path_fault(location):
        refuse(f"{name} takes weights from {shown(location)}, which is not a plain name inside the bundle.")
    target = str(PurePosixPath(name).parent / location)
    if target not in sizes:
        refuse(f"{name} takes weights from {target}, which bundle.json does not list.")
    offset, length = _number(found.get("offset", "0"), name), _number(found.get("length", ""), name)
    if offset + length > sizes[target]:
        refuse(f"{name} takes bytes {offset} to {offset + length} of {target}, which has {sizes[target]}.")


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        refuse(f"{name} holds an external_data offset or length that is not a number: {ascii(text)[:40]}.")
    return int(text)


def _tensors(data: memoryview, kind: str, name: str, depth: int) -> Iterator[tuple[list[memoryview], bool]]:
    """(external_data entries, is data_location set) of every tensor in a message of type `kind`."""
    if depth > MAX_DEPTH:
        refuse(f"{name} is nested deeper than {MAX_DEPTH} levels.")
    children = _CHILDREN[kind]
    entries: list[memoryview] = []
    external = False
    once: set[int] = set()
    for field, wire, value in fields(data, name):
        if kind == "Tensor" and field == _TENSOR_DATA_LOCATION and wire == VARINT:
            external = True
        if field not in children or wire != BYTES:
            continue
        child, repeated = children[field]
        if not repeated and field in once:
            # protobuf merges the two, so that neither half alone shows what is loaded
            refuse(f"{name} is malformed: a single field occurs twice.")
        once.add(field)
        if child == "Entry":
            entries.append(value)
        else:
            yield from _tensors(value, child, name, depth + 1)
    if kind == "Tensor":
        yield entries, external
