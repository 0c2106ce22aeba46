"""A part of a file, or bytes in memory, in the form libsndfile's callbacks need: reads and seeks that never raise."""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

from edge.errors import InputError
from edge.media.regular_file import open_regular_file


class ByteWindow:
    """Bytes `start` to `end` of `source`, with a position of its own.

    An exception inside a callback would be printed by cffi and then ignored; so an unreadable disk looks like the
    end of the file here, and the caller finds that less was there than promised.
    """

    def __init__(self, source: BinaryIO, start: int, end: int, prefix: bytes = b"") -> None:
        """prefix: bytes that seem to lie in front of the others."""
        self._source = source
        self._start = start - len(prefix)
        self._prefix = prefix
        self.size = len(prefix) + max(0, end - start)
        self._at = 0

    def narrowed(self, start: int, end: int, prefix: bytes = b"") -> "ByteWindow":
        """Bytes `start` to `end` of this window, which has no prefix itself, behind `prefix`."""
        return ByteWindow(self._source, self._start + start, self._start + min(end, self.size), prefix)

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_CUR: self._at, os.SEEK_END: self.size}.get(whence, 0)
        self._at = min(max(0, base + offset), self.size)
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: self.size - self._at]
        if fixed := self._prefix[self._at : self._at + len(view)]:
            view[: len(fixed)] = fixed
            self._at += len(fixed)
            return len(fixed)
        try:
            self._source.seek(self._start + self._at)
            count = self._source.readinto(view)  # type: ignore[attr-defined]
        except OSError:
            count = 0
        self._at += count
        return int(count)

    def bytes_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset` on; fewer at the end."""
        self.seek(offset)
        buffer = bytearray(min(count, self.size - self._at))
        return bytes(buffer[: self.readinto(buffer)])


def open_bytes(source: Path | bytes, name: str) -> tuple[BinaryIO, ByteWindow]:
    """The opened `source`, which the caller closes, and a window over all of it. Never blocks.

    Raises InputError when it is missing, unreadable, empty, or not a regular file.
    """
    if isinstance(source, bytes):
        file: BinaryIO = io.BytesIO(source)
        size = len(source)
    else:
        file = open_regular_file(source, "a recording")
        size = os.fstat(file.fileno()).st_size
    if not size:
        file.close()
        raise InputError(f"{name} is empty: it has 0 bytes.", "record or copy it again")
    return file, ByteWindow(file, 0, size)
