"""Ctrl-C and SIGTERM: the work runs in a thread, the main thread only waits and can always be interrupted."""

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

FINISHED = object()


class Interrupts:
    """Runs an iterable in a thread and passes its items on; a signal calls `cancel`, a second one ends the process."""

    def __init__(self) -> None:
        self.cancel: Callable[[], None] | None = None
        self.received = 0

    @property
    def exit_code(self) -> int:
        """128 + signal number, 0 without a signal."""
        return 128 + self.received if self.received else 0

    def stream(self, make: Callable[[], Iterable[Any]]) -> Iterator[Any]:
        """Items of `make()`; its exceptions are raised here."""
        items: queue.Queue[Any] = queue.Queue()

        def work() -> None:
            try:
                for item in make():
                    items.put((item, None))
                items.put((FINISHED, None))
            except BaseException as error:
                items.put((FINISHED, error))

        previous = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        threading.Thread(target=work, daemon=True).start()
        try:
            while True:
                item, error = items.get()
                if error:
                    raise error
                if item is FINISHED:
                    return
                yield item
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received or self.cancel is None:  # nothing to wait for: loading, or asked twice
            sys.stdout.flush()
            os._exit(128 + number)
        self.received = number
        os.write(2, b"\ncancelling\n")
        self.cancel()
