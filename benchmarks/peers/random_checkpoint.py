"""A random bf16 checkpoint as a Hugging Face directory, written tensor by tensor.

Every value depends only on the seed and the tensor's name: the same on each machine, and `--layers 2` holds
the first two layers of the full model.

`python -m benchmarks.peers.random_checkpoint DIR [--layers N] [--seed N]`
"""

import argparse
import json
import math
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np

from benchmarks.peers.geometry import Geometry
from benchmarks.peers.synthetic_tokenizer import write_tokenizer

INITIALIZER_RANGE = 0.02
MAX_SHARD_BYTES = 5_000_000_000
CHUNK_VALUES = 1 << 18


class Layout(Protocol):
    """What a checkpoint consists of: name -> shape of its tensors in file order, and its two configs."""

    def tensors(self) -> dict[str, tuple[int, ...]]: ...

    def config(self) -> dict[str, Any]: ...

    def generation_config(self) -> dict[str, Any]: ...


@cache
def normal_bf16() -> np.ndarray:
    """Mid-quantiles of a normal distribution with deviation INITIALIZER_RANGE, as bf16 bits, uint16 [65536].

    Indexing it with random 16-bit numbers draws from that distribution, far cheaper than drawing floats:
    bf16 has only 8 bits of precision, so the quantile grid is finer than the type.
    """
    normal = NormalDist(0.0, INITIALIZER_RANGE)
    values = np.array([normal.inv_cdf((i + 0.5) / 65536) for i in range(65536)], np.float32)
    return to_bf16(values)


def to_bf16(values: np.ndarray) -> np.ndarray:
    """float32 -> the upper 16 bits as uint16, rounded to nearest, ties to even; finite input only."""
    bits = values.view(np.uint32)
    return ((bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16).astype(np.uint16)


def tensor_chunks(name: str, shape: tuple[int, ...], seed: int) -> Iterator[np.ndarray]:
    """The tensor's bf16 values in row-major order, CHUNK_VALUES of them at a time; norm weights are 1."""
    count = math.prod(shape)
    if len(shape) == 1 and "norm" in name and name.endswith(".weight"):
        yield to_bf16(np.ones(count, np.float32))
        return
    random = np.random.SFC64([seed, zlib.crc32(name.encode())])
    for start in range(0, count, CHUNK_VALUES):
        wanted = min(CHUNK_VALUES, count - start)
        yield normal_bf16()[random.random_raw(-(-wanted // 4)).view(np.uint16)[:wanted]]


def split_shards(shapes: dict[str, tuple[int, ...]], max_bytes: int) -> list[dict[str, tuple[int, ...]]]:
    """Tensors in their order, a new shard where the next one would make the file longer than `max_bytes`."""
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    used = 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        if shards[-1] and used + size > max_bytes:
            shards.append({})
            used = 0
        shards[-1][name] = shape
        used += size
    return shards


def write_shard(path: Path, shapes: dict[str, tuple[int, ...]], seed: int, sparse: bool = False) -> None:
    """With `sparse` all values are zero and take no space on disk: enough to check names and shapes."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        end = offset + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the data aligned to 8 bytes
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        if sparse:
            file.truncate(8 + len(text) + offset)
            return
        for name, shape in shapes.items():
            for chunk in tensor_chunks(name, shape, seed):
                file.write(chunk.data)


def write_weights(
    directory: Path, geometry: Layout, seed: int, max_bytes: int = MAX_SHARD_BYTES, sparse: bool = False
) -> None:
    """model-0000K-of-0000N.safetensors and their index, as `save_pretrained` would lay them out."""
    shards = split_shards(geometry.tensors(), max_bytes)
    weight_map: dict[str, str] = {}
    for number, shapes in enumerate(shards, 1):
        file_name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_shard(directory / file_name, shapes, seed, sparse)
        weight_map |= dict.fromkeys(shapes, file_name)
    total = 2 * sum(math.prod(shape) for shape in geometry.tensors().values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))


def write_checkpoint(directory: Path, geometry: Layout, seed: int = 0, sparse: bool = False) -> None:
    """The whole directory; it appears under its name only when complete. An existing one is left alone."""
    if directory.exists():
        return
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "config.json").write_text(json.dumps(geometry.config(), indent=1))
    (partial / "generation_config.json").write_text(json.dumps(geometry.generation_config(), indent=1))
    write_tokenizer(partial)
    write_weights(partial, geometry, seed, MAX_SHARD_BYTES, sparse)
    partial.rename(directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--layers", type=int, default=Geometry().layers)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_checkpoint(arguments.directory, replace(Geometry(), layers=arguments.layers), seed=arguments.seed)


if __name__ == "__main__":
    main()
