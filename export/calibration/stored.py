"""Weights as they lie in weights.bin, read back: what was written counts, not what should have been."""

from math import prod
from pathlib import Path

import numpy as np

from export.weights.encode import SLAB_WEIGHTS
from export.weights.layout import PlacedWeight, Section
from quant.formats import BlockFormat, ChannelFormat
from quant.packing import PackedRows, dequantise


class StoredWeights:
    """Of a finished file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def matrix(self, weight: PlacedWeight) -> np.ndarray:
        """float32 [rows, columns], or [rows] for a vector."""
        source = weight.source
        if not source.columns:
            return self.rows(weight, 0, source.rows)
        if isinstance(source.format, ChannelFormat):
            values, scales = (self._read(section, 0, section.shape[0]) for section in weight.sections)
            made = np.array(values.T, np.float32)
            made *= scales[:, None]
            return made
        made = np.empty((source.rows, source.columns), np.float32)
        step = max(1, SLAB_WEIGHTS // source.columns)  # the temporaries of a slab fit into the cache
        for start in range(0, source.rows, step):
            stop = min(start + step, source.rows)
            made[start:stop] = self.rows(weight, start, stop)
        return made

    def rows(self, weight: PlacedWeight, start: int, stop: int) -> np.ndarray:
        """float32 [stop - start, columns] of a weight in blocks or in floats."""
        arrays = [self._read(section, start, stop) for section in weight.sections]
        fmt = weight.source.format
        if not isinstance(fmt, BlockFormat):
            return arrays[0]
        values, scales, points = [*arrays, None][:3]
        assert values is not None and scales is not None
        return dequantise(PackedRows(values, scales, points), fmt, weight.source.columns)

    def _read(self, section: Section, start: int, stop: int) -> np.ndarray:
        """Along the first axis."""
        shape = section.shape[1:]
        size = section.length // max(1, section.shape[0])
        count, offset = (stop - start) * prod(shape), section.offset + start * size
        return np.fromfile(self._file, section.dtype, count, offset=offset).reshape(-1, *shape)
