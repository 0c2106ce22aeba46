"""Keeps what vendors' libraries print off standard output, where JSON and answers go."""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDOUT, _STDERR = 1, 2
_LOCK = threading.Lock()


@contextmanager
def vendor_messages_to_stderr() -> Iterator[None]:
    """File descriptor 1 is 2 within the block, for the whole process: for opening a session, not for a whole answer."""
    with _LOCK:
        try:
            own = os.dup(_STDOUT)
        except OSError:  # a service without standard output
            yield
            return
        try:
            _flush()
            os.dup2(_STDERR, _STDOUT)
            yield
        finally:
            _flush()  # C's buffer of a pipe would otherwise be written when the descriptor is back
            os.dup2(own, _STDOUT)
            os.close(own)


def _flush() -> None:
    sys.stdout.flush()
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)
