"""Giving back to the system what loading left behind."""

import contextlib
import ctypes


def trim_heap() -> None:
    """glibc keeps freed memory for later; after loading, the packing buffers never come back. No-op elsewhere."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
