"""Tensors in safetensors files, read by rows.

Files are read with pread, never mapped: a mapped 5 GB shard would count against the memory cap of the export.
"""

import os
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np

from edge import strict_json
from edge.errors import CheckpointError
from export.sources.checkpoint import TensorInfo

ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
MAX_HEADER_BYTES = 100 << 20
AGAIN = "download the checkpoint again"


class SafetensorsFiles:
    """The tensors of `files`, which are paths below `root` and are called so in errors.

    Raises CheckpointError for a missing or damaged file, and for a tensor that two of them hold.
    """

    def __init__(self, root: Path, files: Sequence[str]) -> None:
        self._root = root
        self._files = files
        self._descriptors: dict[str, int] = {}
        self._places: dict[str, tuple[str, int]] = {}
        tensors: dict[str, TensorInfo] = {}
        for file in files:
            if not (root / file).is_file():
                raise CheckpointError(f"shard {file} is missing from {root}", AGAIN)
            for name, info, offset in read_header(root, file):
                if name in tensors:
                    both = f"{self._places[name][0]} and {file}"
                    raise CheckpointError(f"tensor {name} is in two files, {both}", "remove the one not needed")
                tensors[name] = info
                self._places[name] = (file, offset)
        self.tensors: Mapping[str, TensorInfo] = tensors

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows [start, stop) of tensor `name` as float32 [stop - start, ...]. Raises CheckpointError."""
        file, offset = self._places[name]
        info = self.tensors[name]
        if info.dtype not in ITEM_BYTES:
            raise CheckpointError(f"tensor {name} is stored as {info.dtype}", f"supported: {', '.join(ITEM_BYTES)}")
        row_items = prod(info.shape[1:])
        size = ITEM_BYTES[info.dtype] * row_items
        data = self._pread(file, (stop - start) * size, offset + start * size)
        if len(data) != (stop - start) * size:
            raise CheckpointError(f"{file} ended inside tensor {name}", AGAIN)
        values = _to_float32(data, info.dtype).reshape(stop - start, *info.shape[1:])
        if not np.isfinite(values).all():
            raise CheckpointError(f"tensor {name} in {file} contains NaN or infinity", AGAIN)
        return values

    def stamp(self) -> bytes:
        """Names, shapes, places, sizes and times of change: differs when the tensors may differ."""
        stamps = [repr((name, self.tensors[name], self._places[name])) for name in sorted(self._places)]
        for file in sorted(self._files):
            try:
                stat = (self._root / file).stat()
            except OSError as error:
                raise CheckpointError(f"{self._root / file} cannot be read: {error.strerror}", "is it gone?") from None
            stamps.append(repr((file, stat.st_size, stat.st_mtime_ns)))
        return "\n".join(stamps).encode()

    def _pread(self, file: str, count: int, offset: int) -> bytes:
        """Up to `count` bytes; one call returns 2 GiB at most, and a signal may cut it short."""
        try:
            if file not in self._descriptors:
                self._descriptors[file] = os.open(self._root / file, os.O_RDONLY)
            data = os.pread(self._descriptors[file], count, offset)
            while data and len(data) < count:
                more = os.pread(self._descriptors[file], count - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise CheckpointError(f"{self._root / file} cannot be read: {error.strerror}", "check the disk") from None
        return data


def read_header(root: Path, file: str) -> list[tuple[str, TensorInfo, int]]:
    """(name, info, absolute byte offset) of every tensor, in file order, checked against the real file size.

    Layout: u64 header length, JSON header, tensor bytes without holes or overlaps.
    """
    path = root / file
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise CheckpointError(f"{file} is not a safetensors file, or cut off ({size} bytes)", AGAIN)
            raw = stream.read(length)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}", "check the disk") from None
    header = strict_json.loads(raw, f"the header of {file}", MAX_HEADER_BYTES, error=CheckpointError, hint=AGAIN)
    try:
        entries = []
        for name, entry in header.items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                entries.append((name, str(entry["dtype"]), tuple(entry["shape"]), begin, end))
        entries.sort(key=lambda entry: entry[3:])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"the header of {file} is damaged: {ascii(error)[:120]}", AGAIN) from None

    found: list[tuple[str, TensorInfo, int]] = []
    position = 0
    for name, dtype, shape, begin, end in entries:
        whole = all(type(n) is int and 0 <= n < 1 << 40 for n in (*shape, begin, end))
        item = ITEM_BYTES.get(dtype, 0)
        if not whole or begin != position or end < begin or (item and end - begin != prod(shape) * item):
            raise CheckpointError(f"the header of {file} places tensor {ascii(name)[1:100]} wrongly", AGAIN)
        position = end
        found.append((name, TensorInfo(shape, dtype, end - begin), 8 + length + begin))
    if position != size - 8 - length:
        raise CheckpointError(f"{file} has {size} bytes, its header describes {8 + length + position}", AGAIN)
    return found


def _to_float32(data: bytes, dtype: str) -> np.ndarray:
    if dtype == "BF16":
        wide = np.frombuffer(data, "<u2").astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    return np.frombuffer(data, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype]).astype(np.float32)
