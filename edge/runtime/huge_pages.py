"""Packed weights move to 2 MB pages while nobody waits: decoding reads all of them for every token, and with 4 KB
pages an eighth of its time is spent on looking up addresses.

Linux 6.1 and newer; elsewhere nothing happens. The contents and the addresses stay what they are.
"""

import contextlib
import os
import threading

from edge.runtime.madvise import COLLAPSE, madvise
from edge.runtime.memory_maps import regions

HUGE = 2 << 20
WORTH_IT = 256 << 20
"""Bytes of weights from which on the gain is worth a thread."""

NICE = 19
FULL = 0.95
"""A region with holes would grow: they are filled."""


class Promotion:
    """Runs in a thread of lowest priority from `start` until it is done or `stop` is called."""

    def __init__(self) -> None:
        self._pages = [
            page
            for region in regions()
            if region.rights == "rw-p" and not region.path and region.resident >= FULL * region.size
            for page in range(-(-region.start // HUGE) * HUGE, (region.start + region.size) // HUGE * HUGE, HUGE)
        ]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="huge-pages", daemon=True)

    def start(self) -> None:
        if len(self._pages) * HUGE >= WORTH_IT:
            self._thread.start()

    def stop(self) -> None:
        """Before memory is given back: returns within the time that one page takes."""
        self._stopped.set()
        if self._thread.ident:
            self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        for page in self._pages:
            if self._stopped.is_set():
                return
            madvise(page, HUGE, COLLAPSE)  # a refusal leaves the page as it is
