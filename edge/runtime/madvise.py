"""Advice to the kernel about memory that onnxruntime owns: Python's mmap objects cannot give it."""

import ctypes
from functools import cache
from typing import Any

DONTNEED = 4
COLLAPSE = 25


def madvise(start: int, size: int, advice: int) -> bool:
    """Whether the kernel took the advice for `size` bytes from the page-aligned address `start` on."""
    return bool(_function()(start, size, advice) == 0)


@cache
def _function() -> Any:
    function = ctypes.CDLL(None, use_errno=True).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function
