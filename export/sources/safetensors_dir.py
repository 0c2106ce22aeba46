"""A Hugging Face directory: config.json, *.safetensors (one file or shards with an index), tokenizer.json.

Files are read with pread, never mapped: a mapped 5 GB shard would count against the memory cap of the export.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edge import strict_json
from edge.errors import CheckpointError
from export.sources.checkpoint import TensorInfo

ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
MAX_HEADER_BYTES = 100 << 20
INDEX = "model.safetensors.index.json"
AGAIN = "download the checkpoint again"


class SafetensorsCheckpoint:
    """See `Checkpoint` for the meaning of the members."""

    kind = "safetensors"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = read_json(path / "config.json")
        generation = path / "generation_config.json"
        self.generation_config = read_json(generation) if generation.exists() else {}
        self._files: dict[str, int] = {}
        self._places: dict[str, tuple[str, int]] = {}
        tensors: dict[str, TensorInfo] = {}
        for file in self._shards():
            for name, info, offset in read_header(path / file):
                if name in tensors:
                    both = f"{self._places[name][0]} and {file}"
                    raise CheckpointError(f"tensor {name} is in two files, {both}", "remove the one not needed")
                tensors[name] = info
                self._places[name] = (file, offset)
        self.tensors: Mapping[str, TensorInfo] = tensors

    def _shards(self) -> list[str]:
        if (self.path / INDEX).exists():
            weight_map = read_json(self.path / INDEX).get("weight_map")
            if not isinstance(weight_map, dict) or not all(isinstance(f, str) for f in weight_map.values()):
                raise CheckpointError(f"{INDEX} has no usable weight_map", AGAIN)
            files = sorted(set(weight_map.values()))
            for file in files:
                if Path(file).name != file:
                    raise CheckpointError(f"{INDEX} points outside the checkpoint: {ascii(file)[:80]}", AGAIN)
        else:
            files = sorted(file.name for file in self.path.glob("*.safetensors"))
        if not files:
            raise CheckpointError(
                f"no *.safetensors file in {self.path}", "is this a Hugging Face checkpoint directory?"
            )
        for file in files:
            if not (self.path / file).is_file():
                raise CheckpointError(f"shard {file} is missing from {self.path}", AGAIN)
        return files

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
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

    def _pread(self, file: str, count: int, offset: int) -> bytes:
        """Up to `count` bytes; one call returns 2 GiB at most, and a signal may cut it short."""
        try:
            if file not in self._files:
                self._files[file] = os.open(self.path / file, os.O_RDONLY)
            data = os.pread(self._files[file], count, offset)
            while data and len(data) < count:
                more = os.pread(self._files[file], count - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise CheckpointError(f"{self.path / file} cannot be read: {error.strerror}", "check the disk") from None
        return data

    def tokenizer_json(self) -> bytes:
        return read_bytes(self.path / "tokenizer.json")

    def chat_template(self) -> str | None:
        file = self.path / "chat_template.jinja"
        if file.is_file():
            try:
                return read_bytes(file).decode("utf-8")
            except UnicodeDecodeError:
                raise CheckpointError(f"{file.name} in {self.path} is not UTF-8", AGAIN) from None
        config = self.path / "tokenizer_config.json"
        template = read_json(config).get("chat_template") if config.is_file() else None
        return template if isinstance(template, str) else None

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for name in sorted(self._places):
            info = self.tensors[name]
            digest.update(repr((name, info.shape, info.dtype, self._places[name])).encode())
        for file in sorted({place[0] for place in self._places.values()}):
            try:
                stat = (self.path / file).stat()
            except OSError as error:
                raise CheckpointError(f"{self.path / file} cannot be read: {error.strerror}", "is it gone?") from None
            digest.update(repr((file, stat.st_size, stat.st_mtime_ns)).encode())
        return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; NaN, duplicate keys and depth bombs are refused."""
    value = strict_json.loads(read_bytes(path), path.name, MAX_HEADER_BYTES, error=CheckpointError, hint=AGAIN)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.name} does not hold a JSON object", AGAIN)
    return value


def read_bytes(path: Path) -> bytes:
    """A small file of a checkpoint, whole; never a pipe or a device, which could block or not end."""
    try:
        if not path.is_file():
            raise CheckpointError(f"{path.name} is missing from {path.parent}", "is this a checkpoint directory?")
        if path.stat().st_size > MAX_HEADER_BYTES:
            raise CheckpointError(f"{path} has more than {MAX_HEADER_BYTES >> 20} MB", AGAIN)
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}", "check the disk") from None


def read_header(path: Path) -> list[tuple[str, TensorInfo, int]]:
    """(name, info, absolute byte offset) of every tensor, in file order, checked against the real file size.

    Layout: u64 header length, JSON header, tensor bytes without holes or overlaps.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise CheckpointError(f"{path.name} is not a safetensors file, or cut off ({size} bytes)", AGAIN)
            raw = file.read(length)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}", "check the disk") from None
    header = strict_json.loads(raw, f"the header of {path.name}", MAX_HEADER_BYTES, error=CheckpointError, hint=AGAIN)
    try:
        entries = []
        for name, entry in header.items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                entries.append((name, str(entry["dtype"]), tuple(entry["shape"]), begin, end))
        entries.sort(key=lambda entry: entry[3:])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"the header of {path.name} is damaged: {ascii(error)[:120]}", AGAIN) from None

    found: list[tuple[str, TensorInfo, int]] = []
    position = 0
    for name, dtype, shape, begin, end in entries:
        whole = all(type(n) is int and 0 <= n < 1 << 40 for n in (*shape, begin, end))
        item = ITEM_BYTES.get(dtype, 0)
        if not whole or begin != position or end < begin or (item and end - begin != prod(shape) * item):
            raise CheckpointError(f"the header of {path.name} places tensor {ascii(name)[1:100]} wrongly", AGAIN)
        position = end
        found.append((name, TensorInfo(shape, dtype, end - begin), 8 + length + begin))
    if position != size - 8 - length:
        raise CheckpointError(f"{path.name} has {size} bytes, its header describes {8 + length + position}", AGAIN)
    return found


def _to_float32(data: bytes, dtype: str) -> np.ndarray:
    if dtype == "BF16":
        wide = np.frombuffer(data, "<u2").astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    return np.frombuffer(data, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype]).astype(np.float32)
