"""The heap of glibc: what loading left behind goes back to the system, what a prompt frees does not, until it is over.

An operator's result is mapped, filled and unmapped by default, and the kernel clears every page of it anew: a million
pages for 400 tokens of Phi-4-mini, a quarter of the prefill. Elsewhere than on glibc nothing happens.
"""

import contextlib
import ctypes
import threading
from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt(3)
_ALL_KEPT = {_MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: (1 << 31) - 1}
_OTHERWISE = {_MMAP_THRESHOLD: 4 << 20, _TRIM_THRESHOLD: 8 << 20}
"""Weights get mappings of their own, which can be given back and moved to huge pages; logits stay in the heap."""

MANY_TOKENS = 64
"""At once: from here on the time that mapping takes is felt, and 20 ms for giving back are not."""

_lock = threading.Lock()
_users = 0


def trim_heap() -> None:
    """Gives freed memory back to the system, which takes 20 ms beside 7 GB."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def kept_heap() -> Iterator[None]:
    """Freed memory is used again instead of being given back, until the last of those who asked for it leaves."""
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _set(_ALL_KEPT)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _set(_OTHERWISE)
                trim_heap()


def heap_for(tokens: int) -> contextlib.AbstractContextManager[None]:
    """`kept_heap` where a decoder reads so many tokens at once that it is worth it."""
    return kept_heap() if tokens >= MANY_TOKENS else contextlib.nullcontext()


def _set(thresholds: dict[int, int]) -> None:
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for name, size in thresholds.items():
            mallopt(name, size)
