"""The head of a GGUF file (versions 2 and 3, little-endian): metadata, and where each tensor lies.

Layout: magic, version, tensor count, key count, key-value pairs, tensor descriptions, padding, tensor data. The
file may come from a stranger, so every count and length is checked against the bytes that are really there before
anything is allocated; the `gguf` package's own reader trusts them, and maps the whole file.
"""

import math
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from edge.errors import CheckpointError

MAX_HEAD_BYTES = 128 << 20  # a vocabulary of 200,000 tokens with its merges is about 10 MB
MAX_ENTRIES = 1 << 16
MAX_NAME_BYTES = 1 << 16
MAX_ALIGNMENT = 1 << 20

DAMAGED_HINT = "copy or download the file again, and compare its SHA-256 with the publisher's"

_STRING, _ARRAY = 8, 9
_NARROW = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?"}
_SCALARS = _NARROW | {10: "<u8", 11: "<i8", 12: "<f8"}


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """`shape` is row-major (the file stores it reversed); `offset` counts from the start of the file."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """`metadata` values are int, float, bool, str, list[str] or a numpy array; `stamp` tells if the file changed."""

    metadata: dict[str, Any]
    tensors: dict[str, GgufTensor]
    head_bytes: int
    stamp: tuple[int, int, int]


def file_stamp(file: BinaryIO) -> tuple[int, int, int]:
    """(inode, size, modification time): differs once the file behind a path is replaced or rewritten."""
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns


def read_header(path: Path) -> GgufHeader:
    """Raises CheckpointError, with the place in the file, for anything that is not a whole GGUF file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(f"{path} is not a regular file", "give the path of a .gguf file")
        with path.open("rb") as file:
            return _Reader(path, file).header()
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror or error}", "check the path and its permissions"
        ) from error


class _Reader:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.stamp = file_stamp(file)
        self.size = self.stamp[1]
        self.limit = min(self.size, MAX_HEAD_BYTES)
        self.position = 0

    def header(self) -> GgufHeader:
        self._magic_and_version()
        tensor_count, key_count = self._number("<u8"), self._number("<u8")
        if tensor_count > MAX_ENTRIES or key_count > MAX_ENTRIES:
            self._damaged(f"it claims {tensor_count} tensors and {key_count} metadata keys")
        metadata: dict[str, Any] = {}
        for _ in range(key_count):
            key = self._text(MAX_NAME_BYTES)
            if key in metadata:
                self._damaged(f"the metadata key {key!r} occurs twice")
            metadata[key] = self._value(self._number("<u4"))
        described = [self._tensor() for _ in range(tensor_count)]
        return GgufHeader(metadata, self._placed(described, metadata), self.position, self.stamp)

    def _magic_and_version(self) -> None:
        if self.size == 0:
            raise CheckpointError(f"{self.path} is empty", DAMAGED_HINT)
        if self.file.read(4) != b"GGUF":
            raise CheckpointError(f"{self.path} is not a GGUF file", "give a .gguf file or a model directory")
        self.position = 4
        version = self._number("<u4")
        if version & 0xFFFF == 0 and version:
            raise CheckpointError(
                f"{self.path} is a big-endian GGUF file", "convert it first: gguf-convert-endian FILE little"
            )
        if version not in (2, 3):
            raise CheckpointError(
                f"{self.path} has GGUF version {version}; versions 2 and 3 can be read",
                "convert the model again with a current llama.cpp",
            )

    def _damaged(self, what: str) -> NoReturn:
        raise CheckpointError(f"{self.path} is damaged near byte {self.position}: {what}", DAMAGED_HINT)

    def _take(self, count: int) -> bytes:
        if count > self.limit - self.position:
            self._damaged(f"{count} bytes are wanted, {self.limit - self.position} are left to read")
        data = self.file.read(count)
        if len(data) != count:
            self._damaged("the file ends here")
        self.position += count
        return data

    def _number(self, dtype: str) -> Any:
        return np.frombuffer(self._take(np.dtype(dtype).itemsize), dtype)[0].item()

    def _text(self, longest: int = MAX_HEAD_BYTES) -> str:
        (length,) = struct.unpack("<Q", self._take(8))
        if length > longest:
            self._damaged(f"a name of {length} bytes")
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            self._damaged("a text that is not UTF-8")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        if kind != _ARRAY:
            self._damaged(f"a metadata value of unknown type {kind}")
        kind, count = self._number("<u4"), self._number("<u8")
        if kind == _STRING:
            if count > (self.limit - self.position) // 8:
                self._damaged(f"a list of {count} texts does not fit in the file")
            return [self._text() for _ in range(count)]
        if kind not in _SCALARS:
            self._damaged(f"a list with elements of type {kind}")
        dtype = np.dtype(_SCALARS[kind])
        return np.frombuffer(self._take(count * dtype.itemsize), dtype)

    def _tensor(self) -> GgufTensor:
        """A tensor as described: its offset still counts from the start of the data."""
        name = self._text(MAX_NAME_BYTES)
        rank = self._number("<u4")
        if not 1 <= rank <= 4:
            self._damaged(f"tensor {name!r} has {rank} dimensions")
        dims = [self._number("<u8") for _ in range(rank)]
        code, offset = self._number("<u4"), self._number("<u8")
        try:
            kind = GGMLQuantizationType(code)
        except ValueError:
            self._damaged(f"tensor {name!r} is stored as the unknown type {code}")
        block, block_bytes = GGML_QUANT_SIZES[kind]
        elements = math.prod(dims)
        if elements == 0 or elements > self.size * block or dims[0] % block:
            self._damaged(f"tensor {name!r} cannot have the shape {dims} as {kind.name}")
        return GgufTensor(name, tuple(reversed(dims)), kind, offset, elements // block * block_bytes)

    def _placed(self, tensors: list[GgufTensor], metadata: dict[str, Any]) -> dict[str, GgufTensor]:
        """Checks that the data follows the head without gap or overlap up to the end of the file.

        llama.cpp asks for the same; without it a changed offset would read another tensor's weights unnoticed.
        """
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 0 < alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
            self._damaged(f"its alignment {alignment!r} is not a power of two")
        start = -(-self.position // alignment) * alignment
        placed: dict[str, GgufTensor] = {}
        end = expected = start
        for tensor in tensors:
            if tensor.name in placed:
                self._damaged(f"tensor {tensor.name!r} occurs twice")
            if tensor.offset != expected - start:
                self._damaged(f"tensor {tensor.name!r} is at {tensor.offset}, not at {expected - start}")
            end = expected + tensor.bytes
            if end > self.size:
                raise CheckpointError(
                    f"{self.path} is cut off: tensor {tensor.name!r} ends at byte {end}, the file at {self.size}",
                    DAMAGED_HINT,
                )
            placed[tensor.name] = GgufTensor(tensor.name, tensor.shape, tensor.type, expected, tensor.bytes)
            expected = -(-end // alignment) * alignment
        if placed and self.size > expected:
            self._damaged(f"{self.size - expected} bytes after the last tensor belong to nothing")
        return placed
