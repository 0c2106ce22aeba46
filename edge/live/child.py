"""A program that is run to its end, with a bound on its time and on what it says."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import IO, Literal

TICK_S = 0.02
GRACE_S = 0.05
"""Between the request to end and the end: enough to stop a sound or a motor, little enough to wait for."""

_groups: set[int] = set()  # of the programs that run now


@dataclass(frozen=True, slots=True)
class Ended:
    """`how` it ended; `status` is the exit code of one that exited by itself, negative for a signal."""

    how: Literal["exited", "timeout", "stopped"]
    status: int
    output: str
    truncated: bool

    @property
    def words(self) -> str:
        """Such as "exit code 3" or "ended by SIGSEGV"."""
        if self.status >= 0:
            return f"exit code {self.status}"
        names = {number.value: number.name for number in signal.Signals}
        return f"ended by {names.get(-self.status, f'signal {-self.status}')}"


def kill_all() -> None:
    """Ends every program that runs, without a word: for a process that ends without waiting for its threads."""
    for group in tuple(_groups):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def run_child(
    command: Sequence[str],
    stopped: Event,
    timeout_s: float,
    max_bytes: int,
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
    stdin: IO[bytes] | None = None,
) -> Ended:
    """Runs `command` until it exits, `timeout_s` have passed or `stopped` is set; then its whole process group ends.

    Of stdout and stderr together `max_bytes` are kept, the rest is thrown away. What a program that exits by itself
    leaves running in the background goes on, but nobody reads its output. Raises OSError when it cannot be started.
    """
    deadline = time.monotonic() + timeout_s
    process = subprocess.Popen(
        [os.fsencode(command[0]), *(word.encode("utf-8", "surrogateescape") for word in command[1:])],
        stdin=stdin or subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=directory,
        start_new_session=True,  # a group to end as a whole, and no terminal to read from
    )
    _groups.add(process.pid)
    output = _Output(process, max_bytes)
    how: Literal["exited", "timeout", "stopped"] = "exited"
    try:
        while True:
            output.wait()
            if stopped.is_set():
                how = "stopped"
                break
            if process.poll() is not None:
                output.rest()
                break
            if time.monotonic() >= deadline:
                how = "timeout"
                break
    finally:
        if process.returncode is None:
            _end_group(process)
        _groups.discard(process.pid)
        output.close()
    status = process.returncode if process.returncode is not None else -signal.SIGKILL
    return Ended(how, status, output.kept.decode("utf-8", "replace"), output.truncated)


class _Output:
    """Reads all, so that a talkative program is not held up, and keeps little."""

    def __init__(self, process: "subprocess.Popen[bytes]", max_bytes: int) -> None:
        assert process.stdout
        self._process, self._pipe, self._max_bytes = process, process.stdout, max_bytes
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)
        self._open = True
        self.kept = bytearray()
        self.truncated = False

    def wait(self) -> None:
        """Until there is output, the program has ended or a tick is over."""
        if self._open:
            self._read(TICK_S)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(TICK_S)

    def rest(self) -> None:
        """What the pipe still holds; its end may never come when a program in the background keeps it open."""
        while self._open and not self.truncated and self._read(0):
            pass

    def close(self) -> None:
        self._pipe.close()

    def _read(self, seconds: float) -> bool:
        if not self._poll.poll(1000 * seconds):
            return False
        data = os.read(self._pipe.fileno(), 1 << 16)
        self._open = bool(data)
        self.truncated |= len(self.kept) + len(data) > self._max_bytes
        self.kept += data[: self._max_bytes - len(self.kept)]
        return True


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """The leader is not waited for before the last signal: until then nobody else can get its group's number."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
        time.sleep(GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel cannot be waited for
        process.wait(GRACE_S)
