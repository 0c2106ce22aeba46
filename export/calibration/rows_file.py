"""Rows of float32 in a file, read and written in pieces: mapped into memory they would count as the process's own."""

import os
from pathlib import Path

import numpy as np


class RowsFile:
    """[rows, width]. A new one has no rows."""

    def __init__(self, path: Path, width: int) -> None:
        self.path, self.width = path, width
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    @property
    def rows(self) -> int:
        return os.fstat(self._file).st_size // (4 * self.width)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows [start, stop)."""
        made = np.empty((stop - start, self.width), np.float32)
        view, offset = made.data.cast("B"), 4 * self.width * start
        while view:
            count = os.preadv(self._file, [view], offset)
            if not count:
                raise EOFError(f"{self.path} is too short")
            view, offset = view[count:], offset + count
        return made

    def write(self, start: int, rows: np.ndarray) -> None:
        """`rows` [n, width] from `start` on."""
        view, offset = np.ascontiguousarray(rows, np.float32).data.cast("B"), 4 * self.width * start
        while view:
            count = os.pwrite(self._file, view, offset)
            view, offset = view[count:], offset + count

    def copy_to(self, path: Path) -> "RowsFile":
        """All rows, in another file that replaces what was there."""
        path.unlink(missing_ok=True)
        made, step = RowsFile(path, self.width), 4096
        for start in range(0, self.rows, step):
            made.write(start, self.read(start, min(start + step, self.rows)))
        return made

    def sync(self) -> None:
        os.fsync(self._file)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def __del__(self) -> None:
        self.close()
