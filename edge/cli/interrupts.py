"""Ctrl-C and SIGTERM: the work runs in a thread, the main thread only waits and can always be interrupted."""

import contextlib
import os
import queue
import signal
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
        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while True:
                item, error = items.get()
                if error:
                    raise error
                if item is FINISHED:
                    return
                yield item
                if self.received and self.cancel:  # a turn that was just starting may have missed it
                    self.cancel()
        finally:
            # the process must not end while a thread is inside the runtime: that would abort it
            if worker.is_alive() and self.cancel:
                self.cancel()
            worker.join()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received or self.cancel is None:  # nothing to wait for: loading, or asked twice
            _note(b"\ninterrupted\n")
            os._exit(128 + number)
        self.received = number
        _note(b"\ncancelling\n")
        self.cancel()


def _note(text: bytes) -> None:
    """Not through sys.stderr, which may be in the middle of a write when the signal comes."""
    with contextlib.suppress(OSError):
        os.write(2, text)
