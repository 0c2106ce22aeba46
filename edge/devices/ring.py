"""Blocks of a recording between the one who records and the one who passes them on; never more than a limit."""

import threading
from collections import deque


class Ring:
    """Holds at most `limit` blocks. A full ring forgets the oldest: who was late wants to hear the present."""

    def __init__(self, limit: int) -> None:
        self._blocks: deque[bytes] = deque(maxlen=limit)
        self._changed = threading.Condition()
        self._dropped = 0

    def put(self, block: bytes) -> None:
        """Never waits for the reader."""
        with self._changed:
            if len(self._blocks) == self._blocks.maxlen:
                self._dropped += len(self._blocks[0])
            self._blocks.append(block)
            self._changed.notify()

    def take(self, timeout_s: float) -> tuple[bytes, int] | None:
        """The oldest block, and how many bytes were forgotten so far; None when none came within the time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._blocks, timeout_s):
                return None
            return self._blocks.popleft(), self._dropped
