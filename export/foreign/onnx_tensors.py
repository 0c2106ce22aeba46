"""An ONNX model with its weights left where they are: in the mapped file, or in the file beside it."""

import hashlib
import mmap
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from edge.bundle.protobuf import BYTES, VARINT, fields
from edge.errors import CheckpointError
from export.sources.checkpoint import TensorInfo

GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9
"""Field numbers of onnx.proto: of a model, a graph, a tensor."""

SMALL = 1024
"""Bytes of a tensor that stays in the graph."""

TRANSPOSED = "^T"


class OnnxTensors:
    """`model` has everything but large float32 weights; those are read by rows, as `Tensors` wants it.

    A matrix [K, N] is also there transposed, as rows [N, K] under its name with `TRANSPOSED`: what multiplies from the
    right in ONNX, and is stored by outputs in blocks.
    """

    def __init__(self, path: Path) -> None:
        """`path` of a graph whose references to files were checked. Raises CheckpointError."""
        self.path = path
        self._arrays: dict[str, np.ndarray] = {}
        with path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.model = onnx.ModelProto.FromString(_rewritten(data, GRAPH, self._graph, path.name))
        infos = {name: _info(array.shape) for name, array in self._arrays.items()}
        infos |= {name + TRANSPOSED: _info(a.shape[::-1]) for name, a in self._arrays.items() if a.ndim == 2}
        self.tensors: Mapping[str, TensorInfo] = infos

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows [start, stop) as float32 [stop - start, ...]. Raises CheckpointError."""
        if name.endswith(TRANSPOSED):
            values = np.ascontiguousarray(self._arrays[name.removesuffix(TRANSPOSED)][:, start:stop].T)
        else:
            values = self._arrays[name][start:stop]
        if not np.isfinite(values).all():
            raise CheckpointError(f"tensor {name} contains NaN or infinity", "is the checkpoint undamaged?")
        return values

    def fingerprint(self) -> str:
        info = self.path.stat()
        return hashlib.sha256(f"{info.st_size} {info.st_mtime_ns}".encode()).hexdigest()

    def _graph(self, graph: memoryview) -> bytes:
        return _rewritten(graph, INITIALIZER, self._tensor, self.path.name)

    def _tensor(self, data: memoryview) -> bytes:
        """The tensor without its values, if they are many and float32; `_arrays` has them then."""
        raw = [value for field, _, value in fields(data, self.path.name) if field == RAW_DATA]
        bare = _rewritten(data, RAW_DATA, lambda _: b"", self.path.name)
        tensor = TensorProto.FromString(bare)
        shape = tuple(tensor.dims)
        if tensor.data_type != TensorProto.FLOAT or prod(shape) * 4 < SMALL:
            return bytes(data)
        if tensor.external_data:
            self._arrays[tensor.name] = self._external(tensor, shape)
        elif raw:
            self._arrays[tensor.name] = np.frombuffer(raw[-1], "<f4").reshape(shape)
        else:  # in a field of numbers, as nobody writes large ones
            return bytes(data)
        return bare

    def _external(self, tensor: TensorProto, shape: tuple[int, ...]) -> np.ndarray:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        file = self.path.with_name(entries["location"])
        return np.memmap(file, "<f4", "r", int(entries.get("offset", "0")), shape)


def _info(shape: tuple[int, ...]) -> TensorInfo:
    return TensorInfo(shape, "F32", prod(shape) * 4)


def _rewritten(data: memoryview, field: int, change: Callable[[memoryview], bytes], name: str) -> bytes:
    """The message with each value of a field of bytes changed."""
    out = bytearray()
    for number, wire, value in fields(data, name):
        if wire not in (VARINT, BYTES):
            raise CheckpointError(f"{name} holds a number that no ONNX model has there", "export it again")
        kept = change(value) if number == field else value
        out += _varint(number << 3 | wire)
        if wire == BYTES:
            out += _varint(len(kept))
        out += kept
    return bytes(out)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
