"""Keeps what C image libraries print on file descriptor 2 off the user's terminal.

libpng and libjpeg print a damaged file's faults directly, past Python and past OpenCV's log level, so the
descriptor itself is turned round while a decoder runs. It belongs to the whole process: one decoder at a time
holds it, and whatever other threads print meanwhile is passed on afterwards.
"""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

_STDERR = 2
_LOCK = threading.Lock()
_FROM_DECODERS = re.compile(
    rb"libpng |Corrupt JPEG data|Premature end of JPEG|Inconsistent progression|Invalid SOS param"
    rb"|Unknown Adobe color|Warning: unknown JFIF|Application transferred|\[ *(WARN|ERROR|INFO)[:@]|> "
)


@contextmanager
def decoder_messages() -> Iterator[list[str]]:
    """The list holds, once the block is left, the lines that image decoders printed in it."""
    messages: list[str] = []
    with _LOCK:
        try:
            terminal = os.dup(_STDERR)
        except OSError:  # a service without standard error: nothing can be printed
            yield messages
            return
        with os.fdopen(terminal, "wb", 0) as real, _scratch() as caught:
            os.dup2(caught.fileno(), _STDERR)
            try:
                yield messages
            finally:
                os.dup2(terminal, _STDERR)
                caught.seek(0)
                for line in caught.read().splitlines(keepends=True):
                    if _FROM_DECODERS.match(line):
                        messages.append(line.decode(errors="replace").strip())
                    elif line.strip():
                        real.write(line)


def _scratch() -> BinaryIO:
    """In memory where the system can, because a kiosk's disk may be read-only."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("decoder-messages"), "r+b", 0)
    return tempfile.TemporaryFile(buffering=0)
