"""Several graphs over one weights file: equal arrays are stored once, however many graphs were saved with them.

onnxruntime saves every graph with a complete weights file of its own. The decoders of a model differ by their adapters
only, so what they share is found by content and kept once; then the page cache holds it once, too.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

PAGE = 4096
"""Arrays are mapped from the file if they start on a page."""

_COPY_BYTES = 16 << 20
_GRAPH, _INITIALIZER, _EXTERNAL_DATA, _KEY, _VALUE = 7, 5, 13, 1, 2


class SharedWeights:
    """Appends to `file`; use as a context manager."""

    def __init__(self, file: Path) -> None:
        self._path = file
        self._places: dict[tuple[int, str], int] = {}

    def __enter__(self) -> "SharedWeights":
        self._file = self._path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def move(self, graph: Path, weights: Path) -> bytes:
        """`graph` with every array of its own file `weights` taken from the shared file, where they now are."""
        with weights.open("rb") as source:

            def moved(entries: dict[str, str]) -> dict[str, str]:
                length = int(entries["length"])
                changed = {
                    "location": self._path.name,
                    "offset": str(self._place(source, int(entries["offset"]), length)),
                }
                for key, value in entries.items():
                    if key.startswith("prepacked"):
                        changed[key] = self._moved_blobs(source, value)
                return entries | changed

            return rewrite_external_data(graph.read_bytes(), moved)

    def _moved_blobs(self, source: IO[bytes], value: str) -> str:
        """`kernel|offset;length;hash|offset;…`, one place for each packed buffer of a tensor."""
        kernel, *blobs = value.split("|")
        moved = []
        for blob in blobs:
            offset, length, *rest = blob.split(";")
            moved.append(";".join([str(self._place(source, int(offset), int(length))), length, *rest]))
        return "|".join([kernel, *moved])

    def _place(self, source: IO[bytes], offset: int, length: int) -> int:
        """Where the bytes lie in the shared file; they are appended if they are new."""
        digest = hashlib.sha256()
        for piece in _pieces(source, offset, length):
            digest.update(piece)
        key = length, digest.hexdigest()
        if key not in self._places:
            self._file.write(bytes(-self._file.tell() % PAGE))
            self._places[key] = self._file.tell()
            for piece in _pieces(source, offset, length):
                self._file.write(piece)
        return self._places[key]


def _pieces(source: IO[bytes], offset: int, length: int) -> Iterator[bytes]:
    source.seek(offset)
    while length > 0 and (piece := source.read(min(_COPY_BYTES, length))):
        length -= len(piece)
        yield piece


def rewrite_external_data(model: bytes, change: Callable[[dict[str, str]], dict[str, str]]) -> bytes:
    """A serialized ModelProto whose initializers have other external_data entries. The device has no onnx package."""

    def tensor(data: bytes) -> bytes:
        entries: dict[str, str] = {}
        rest = []
        for field, raw, value in _fields(data):
            if field == _EXTERNAL_DATA:
                pair = {number: inner.decode() for number, _, inner in _fields(value)}
                entries[pair[_KEY]] = pair.get(_VALUE, "")
            else:
                rest.append(raw)
        if not entries:
            return data
        for key, text in change(entries).items():
            rest.append(_message(_EXTERNAL_DATA, _message(_KEY, key.encode()) + _message(_VALUE, text.encode())))
        return b"".join(rest)

    def graph(data: bytes) -> bytes:
        return b"".join(
            _message(field, tensor(value)) if field == _INITIALIZER else raw for field, raw, value in _fields(data)
        )

    return b"".join(_message(field, graph(value)) if field == _GRAPH else raw for field, raw, value in _fields(model))


def _fields(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(number, whole field, its value if it is length-delimited) of a message that onnxruntime itself wrote."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _varint(data, at)
        value = b""
        match tag & 7:
            case 0:
                _, at = _varint(data, at)
            case 1:
                at += 8
            case 2:
                length, at = _varint(data, at)
                value = data[at : at + length]
                at += length
            case 5:
                at += 4
        yield tag >> 3, data[start:at], value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7


def _message(field: int, value: bytes) -> bytes:
    return _encoded(field << 3 | 2) + _encoded(len(value)) + value


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
