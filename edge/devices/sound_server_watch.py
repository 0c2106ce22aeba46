"""Says when something about the sound server's sources may have changed; asks nothing while nothing changes."""

import contextlib
import os
import re
import select
import shutil
import subprocess
import threading
from collections.abc import Callable

from edge.devices.sound_server import environment

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0
"""Between two attempts to reach a server that went away; it doubles."""

CALM_S = 0.1
"""Events come in bursts: the question is asked when there was none for so long."""

UNSURE_S = 0.5

_MATTERS = re.compile(rb" on (source|source-output|server)\b")

# pactl itself outlives a killed parent; the shell ends it when its standard input ends
_SCRIPT = "pactl subscribe & exec >/dev/null; read -r nothing; kill -KILL $! 2>/dev/null"


class SoundServerWatch:
    """`changed()` is called from its own thread, some time after `start`, and after each burst of events.

    Without `pactl` it does nothing. A server that goes away is waited for.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="sound server", daemon=True)

    def start(self) -> None:
        if shutil.which("pactl") and shutil.which("sh"):
            self._thread.start()

    def close(self) -> None:
        """Ends process and thread; early calls and several do no harm."""
        self._closing.set()
        with self._lock:
            if self._process and self._process.stdin:
                self._process.stdin.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        wait = FIRST_WAIT_S
        while not self._closing.is_set():
            with contextlib.suppress(OSError):  # no more processes or descriptors, at this moment
                if self._follow():
                    wait = FIRST_WAIT_S
                    self._changed()  # the server has gone
            self._closing.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)

    def _follow(self) -> bool:
        """From the subscription to its end: whether there was one."""
        with self._lock:
            if self._closing.is_set():
                return False
            process = self._process = subprocess.Popen(
                ["sh", "-c", _SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,  # Ctrl-C is not meant for it
            )
        try:
            return self._listen(process)
        finally:
            with self._lock:
                self._process = None
                for pipe in (process.stdin, process.stdout):
                    with contextlib.suppress(OSError):
                        pipe.close()  # type: ignore[union-attr]
            process.wait()

    def _listen(self, process: "subprocess.Popen[bytes]") -> bool:
        assert process.stdout
        descriptor, sure = process.stdout.fileno(), False
        while True:
            # a subscription does not tell that it has begun, but it shows the client that asks a question
            ready = select.select([descriptor], [], [], None if sure else UNSURE_S)[0]
            matters = not ready
            while ready:
                data = os.read(descriptor, 1 << 16)
                if not data:
                    return sure
                matters |= not sure or bool(_MATTERS.search(data))
                sure = True
                ready = select.select([descriptor], [], [], CALM_S)[0]
            if matters and not self._closing.is_set():
                self._changed()
