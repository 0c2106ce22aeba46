"""Spoken answers: each text goes to the standard input of a program such as espeak-ng or piper."""

import os
import shlex
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Sequence

from edge.errors import DeviceError, UsageError
from edge.live.child import run_child
from edge.live.printable import printable

START_S, CHARACTER_S = 60.0, 0.5
"""A program that speaks longer than this hangs, and must not keep the microphone shut for ever."""

_MAX_OUTPUT_BYTES = 4096


class Voice:
    """Speaks one text after the other, in a thread that lives while there is something to say.

    `command` is a command line that is split as a shell would (but no shell runs), or its words. Raises UsageError
    for a command line that cannot be split, DeviceError when its program is missing.
    """

    def __init__(self, command: str | Sequence[str]) -> None:
        try:
            self._command = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            raise UsageError(f"--speak {command!r} cannot be split into words: {error}.", "close the quotes") from None
        if not self._command:
            raise UsageError("--speak names no program.", "write --speak espeak-ng, for example")
        if not shutil.which(self._command[0]):
            raise DeviceError(
                f"The voice {self._command[0]!r} is not a program on this machine.",
                "install one, for example with: sudo apt install espeak-ng, and write --speak espeak-ng",
            )
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._current = _Spoken()
        self._current.ended.set()
        self._thread_runs = False
        self.fault = ""
        """Why the program failed for the first time, one line; empty while it works. Later texts are still tried."""

    @property
    def speaking(self) -> bool:
        """Whether a text is being spoken or waits for its turn."""
        with self._changed:
            return self._busy()

    def say(self, text: str) -> None:
        """Speaks `text` after all that was said before. Returns at once."""
        if not text.strip():
            return
        with self._changed:
            self._waiting.append(text)
            if not self._thread_runs:
                self._thread_runs = True
                threading.Thread(target=self._speak_all, name="voice", daemon=True).start()

    def stop(self) -> None:
        """Silence: what was said before is ended or dropped when this returns. A later say() is spoken."""
        with self._changed:
            self._waiting.clear()
            current = self._current
            current.stopped.set()
            self._changed.notify_all()
        current.ended.wait()

    def wait(self, timeout: float | None = None) -> bool:
        """Until all has been said, at most `timeout` seconds. Whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy(), timeout)

    def _busy(self) -> bool:
        return bool(self._waiting) or not self._current.ended.is_set()

    def _speak_all(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._thread_runs = False
                    self._changed.notify_all()
                    return
                text = self._waiting.popleft()
                self._current = current = _Spoken()
            try:
                self._speak(text, current.stopped)
            except Exception as error:  # whatever it is, a silent voice must not end the loop
                reason = error.strerror if isinstance(error, OSError) else error
                self._failed(f"cannot be started: {reason}")
            finally:
                current.ended.set()

    def _speak(self, text: str, stopped: threading.Event) -> None:
        with tempfile.TemporaryFile() as spoken:  # unlike a pipe it never makes the writer wait
            spoken.write(text.strip().encode("utf-8", "replace") + b"\n")
            spoken.seek(0)
            limit_s = START_S + CHARACTER_S * len(text)
            ended = run_child(self._command, stopped, limit_s, _MAX_OUTPUT_BYTES, os.environ, stdin=spoken)
        if ended.how == "timeout":
            self._failed(f"was ended after {limit_s:.0f} s")
        elif ended.how == "exited" and ended.status:
            *_, said = ended.output.strip().splitlines() or [""]
            self._failed(f"failed: {ended.words}{said and f' ({said})'}")

    def _failed(self, how: str) -> None:
        self.fault = self.fault or printable(f"The voice {self._command[0]} {how}.")


class _Spoken:
    """One text on its way; `ended` is set when nothing of it can be heard any more."""

    def __init__(self) -> None:
        self.stopped, self.ended = threading.Event(), threading.Event()
