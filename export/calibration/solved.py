"""Matrices that were quantised with the help of activations, each in a file of its own until the bundle is written."""

import io
import json
from pathlib import Path

import numpy as np

from edge.bundle.files import write_bytes_durably
from quant.packing import PackedRows


class SolvedWeights:
    """`folder` exists. A file appears whole or not at all, so that a killed export goes on with the next matrix."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __contains__(self, name: str) -> bool:
        return self._error_file(name).exists()

    def save(self, name: str, packed: PackedRows, error: float) -> None:
        for array, part in ((packed.values, "values"), (packed.scales, "scales"), (packed.zero_points, "zero_points")):
            if array is not None:
                made = io.BytesIO()
                np.save(made, array)
                write_bytes_durably(self._file(name, part), made.getvalue())
        write_bytes_durably(self._error_file(name), json.dumps(error).encode())

    def load(self, name: str) -> PackedRows:
        """Values are read when they are needed."""
        values, scales = (np.load(self._file(name, part), mmap_mode="r") for part in ("values", "scales"))
        points = self._file(name, "zero_points")
        return PackedRows(values, scales, np.load(points, mmap_mode="r") if points.exists() else None)

    def error(self, name: str) -> float:
        """Of the matrix's output over the calibration data, relative."""
        return float(json.loads(self._error_file(name).read_bytes()))

    def _file(self, name: str, part: str) -> Path:
        return self._folder / f"{name}.{part}.npy"

    def _error_file(self, name: str) -> Path:
        return self._folder / f"{name}.json"
