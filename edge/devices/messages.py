"""What a device's process sends through its pipe: a letter, a length, a payload."""

import json
import os
import struct
import threading
from collections.abc import Iterator
from typing import Any

_HEAD = struct.Struct("<cI")
LONGEST = 64 << 20
"""Bytes of a payload: a picture of 20 megapixels; what claims to be longer is no message."""

READY, FAILED, DATA = b"R", b"F", b"D"
"""The device is open (JSON: what is known of it); it cannot be used (JSON: reason, hint); something it recorded."""


def send(descriptor: int, kind: bytes, *payload: bytes | memoryview) -> None:
    """All of it, however often the pipe is full. Raises OSError when nobody reads any more."""
    length = sum(memoryview(one).nbytes for one in payload)  # len() of a view counts rows
    for part in (_HEAD.pack(kind, length), *payload):
        view = memoryview(part).cast("B")
        while view:
            view = view[os.write(descriptor, view) :]


def send_json(descriptor: int, kind: bytes, fields: dict[str, Any]) -> None:
    send(descriptor, kind, json.dumps(fields).encode())


class Parser:
    """Bytes as they come, in pieces of any size, to messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def push(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(kind, payload) of every message that is complete now. Raises ValueError for what is no message."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._buffer)
            if kind not in (READY, FAILED, DATA) or length > LONGEST:
                raise ValueError(f"{kind!r} with {length} bytes is not a message")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            yield kind, payload


def leave_with_parent() -> None:
    """Ends this process as soon as its standard input ends, which it does when the parent is gone, however it went."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
