"""From checkpoint rows to the bytes of one weight, slab by slab, two slabs in flight."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from typing import TypeVar

import numpy as np

from export.sources.checkpoint import Tensors
from export.weights.layout import PlacedWeight
from quant.channel import quantise_channels
from quant.formats import BlockFormat, ChannelFormat
from quant.packing import PackedRows
from quant.rtn import quantise_rows

SLAB_WEIGHTS = 1 << 20
"""Weights per slab: 4 MB of float32, small enough to stay in cache through all quantisation passes."""

SLABS_IN_FLIGHT = 4

T = TypeVar("T")


def encode(
    weight: PlacedWeight, checkpoint: Tensors, pool: Executor, solved: PackedRows | None = None
) -> Iterator[bytes | memoryview]:
    """The bytes of all sections of `weight`, in file order and without padding between sections; those of `solved`, if
    it was quantised before.

    Scales and zero points follow all values, so they are kept (a sixteenth of the values at most).
    """
    fmt = weight.source.format
    if solved:
        for array in (solved.values, solved.scales, solved.zero_points):
            if array is not None:
                yield np.ascontiguousarray(array).data.cast("B")
        return
    if isinstance(fmt, ChannelFormat):
        yield from _encode_channels(weight, checkpoint, pool)
        return
    if not isinstance(fmt, BlockFormat):
        for slab in _in_order(pool, partial(_read, weight, checkpoint), list(_slabs(weight))):
            yield np.ascontiguousarray(slab, "<f4").data.cast("B")
        return

    def pack(tensor: str, start: int, stop: int) -> PackedRows:
        return quantise_rows(_read(weight, checkpoint, tensor, start, stop), fmt)

    scales, zero_points = [], []
    for packed in _in_order(pool, pack, list(_slabs(weight))):
        scales.append(packed.scales)
        if packed.zero_points is not None:
            zero_points.append(packed.zero_points)
        yield packed.values.data.cast("B")
    yield np.concatenate(scales).astype("<f4").tobytes()
    if zero_points:
        yield np.concatenate(zero_points).tobytes()


def read_rows(weight: PlacedWeight, checkpoint: Tensors) -> np.ndarray:
    """All of it as float32 [rows, columns], or [rows] for a vector."""
    source = weight.source
    made, row = np.empty((source.rows, source.columns) if source.columns else source.rows, np.float32), 0
    for slab in _slabs(weight):
        part = _read(weight, checkpoint, *slab)
        made[row : row + len(part)] = part
        row += len(part)
    return made


def _encode_channels(weight: PlacedWeight, checkpoint: Tensors, pool: Executor) -> Iterator[bytes | memoryview]:
    """Transposed, so the int8 matrix is in memory once; a slab of columns at a time goes out."""

    def pack(tensor: str, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        values, scales = quantise_channels(_read(weight, checkpoint, tensor, start, stop))
        return values.T, scales

    whole = np.empty((weight.source.columns, weight.source.rows), np.int8)
    scales, row = [], 0
    for values, part in _in_order(pool, pack, list(_slabs(weight))):
        whole[:, row : row + len(part)] = values
        row += len(part)
        scales.append(part)
    yield whole.data.cast("B")
    yield np.concatenate(scales).astype("<f4").tobytes()


def _read(weight: PlacedWeight, checkpoint: Tensors, tensor: str, start: int, stop: int) -> np.ndarray:
    """Rows as float32 [n, columns], or [n] for a vector."""
    values = checkpoint.rows(tensor, start, stop)
    columns = weight.source.columns
    values = values.reshape(stop - start, columns) if columns else values.reshape(-1)
    return values if weight.source.multiplier == 1.0 else values * np.float32(weight.source.multiplier)


def _slabs(weight: PlacedWeight) -> Iterator[tuple[str, int, int]]:
    """(tensor, first row, row after the last) of every slab."""
    step = max(1, SLAB_WEIGHTS // max(1, weight.source.columns))
    for part in weight.source.parts:
        end = part.first + part.rows
        for start in range(part.first, end, step):
            yield part.tensor, start, min(start + step, end)


def _in_order(pool: Executor, work: Callable[[str, int, int], T], slabs: list[tuple[str, int, int]]) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    try:
        for slab in slabs:
            waiting.append(pool.submit(work, *slab))
            if len(waiting) == SLABS_IN_FLIGHT:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
