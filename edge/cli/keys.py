"""Single keys from the terminal, as they are pressed."""

import contextlib
import os
import re
import select
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

_SEQUENCE = re.compile(r"\x1b(\[[0-9;]*[A-Za-z~]|O?.)")
"""An arrow, a function key, or a key together with Alt: none of them counts."""

NAMES = {" ": "space", "\x1b": "escape", "\r": "enter", "\n": "enter"}


class Keys:
    """Calls `pressed(name)` from a thread: a letter, "space", "enter" or "escape". Without a terminal, or in the
    background of one, nothing is read.

    `close` gives the terminal back as it was; signals such as Ctrl-C work as ever.
    """

    def __init__(self, pressed: Callable[[str], None]) -> None:
        self._pressed = pressed
        self._before: list[Any] | None = None
        self._awake, self._wake = os.pipe()
        self.available = can_press()
        if not self.available:
            return
        import termios
        import tty

        self._before = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        threading.Thread(target=self._read, name="keys", daemon=True).start()

    def close(self) -> None:
        """Again, and from a signal's handler, does no harm."""
        with contextlib.suppress(OSError):
            os.write(self._wake, b".")
        if self._before:
            import termios

            with contextlib.suppress(termios.error):
                termios.tcsetattr(sys.stdin, termios.TCSANOW, self._before)

    def _read(self) -> None:
        descriptor = sys.stdin.fileno()
        with contextlib.suppress(OSError):  # the terminal is gone
            while True:
                ready, _, _ = select.select([descriptor, self._awake], [], [])
                if self._awake in ready:
                    return
                text = os.read(descriptor, 64).decode(errors="ignore")
                if not text:
                    return
                for key in _SEQUENCE.sub("", text):
                    self._pressed(NAMES.get(key, key.lower()))


def can_press() -> bool:
    """Whether there is a terminal, and it is ours: the system stops a program in the background that touches it."""
    if sys.stdin is None or not sys.stdin.isatty() or not find_spec("termios"):
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # not the one that this program was started from: nobody stops us there
        return True
