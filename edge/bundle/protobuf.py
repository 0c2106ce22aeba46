"""A protobuf message taken apart field by field, without a schema and without a copy."""

from collections.abc import Iterator

from edge.bundle.typed_json import refuse

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(data: memoryview, name: str) -> Iterator[tuple[int, int, memoryview]]:
    """(field number, wire type, value) of a message; of a varint its bytes, of other numbers nothing."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at, name)
        field, wire = tag >> 3, tag & 7
        if field == 0 or tag >= 1 << 32:
            refuse(f"{name} is not an ONNX graph, or is damaged.")
        start, value = at, data[:0]
        if wire == VARINT:
            _, at = _varint(data, at, name)
            value = data[start:at]
        elif wire == BYTES:
            length, at = _varint(data, at, name)
            value = data[at : at + length]
            at += length
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        else:
            refuse(f"{name} is not an ONNX graph, or is damaged.")
        if at > end:
            refuse(f"{name} is not an ONNX graph, or ends too early.")
        yield field, wire, value


def number(value: memoryview, name: str) -> int:
    """The int64 in a varint's bytes."""
    found, _ = _varint(value, 0, name)
    return found - (1 << 64) if found >> 63 else found


def _varint(data: memoryview, at: int, name: str) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift >= 70:
            refuse(f"{name} is not an ONNX graph, or ends too early.")
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7
