"""The command line as a child process, so that tests see what a user sees: exit code, stdout, stderr."""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "edge.cli.main")
DEADLINE = 60.0
"""Seconds until a child that says nothing counts as hanging."""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def environment(**extra: str) -> dict[str, str]:
    """Nothing of the caller's but PATH, HOME and the test's own EDGE_HOME."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "EDGE_HOME") if name in os.environ}
    return kept | extra


def edge(*arguments: object, stdin: bytes | None = b"", prefix: Sequence[str] = (), **env: str) -> Result:
    """Runs `edge arguments` to its end. `stdin` None: closed. `prefix` is a command that starts it, like unshare."""
    command = [*prefix, *COMMAND, *(os.fspath(a) if isinstance(a, Path | bytes) else str(a) for a in arguments)]
    if stdin is None:
        command = ["sh", "-c", 'exec "$@" <&-', "sh", *command]
    done = subprocess.run(
        command, input=stdin, capture_output=True, timeout=DEADLINE, env=environment(**env), cwd=ROOT, check=False
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def assert_refused(result: Result, code: int, *words: str) -> None:
    """The promise for every mistake: exit code, one `error:` line with `words`, what to type next, nothing else."""
    assert result.code == code, result
    assert result.out == ""
    assert "Traceback" not in result.err
    errors = [line for line in result.err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, result.err
    last = result.err.splitlines()[-1]
    assert last.startswith("  next: ") and len(last) > len("  next: "), result.err
    for word in words:
        assert word in errors[0], result.err


@dataclass
class Running:
    """A child under way, its stderr on a terminal. `seen` is what the terminal has shown so far."""

    process: subprocess.Popen[bytes]
    terminal: int
    seen: str = ""
    _bytes: bytes = field(default=b"", repr=False)

    def wait_for(self, text: str) -> None:
        """Until the terminal shows `text`, counted from the last call."""
        end = time.monotonic() + DEADLINE
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} never came: {self.seen!r}"
            assert self._read(), f"{text!r} never came, the child has ended: {self.seen!r}"
        self.seen = self.seen.split(text, 1)[1]

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def finish(self) -> int:
        """Exit code; reads the terminal meanwhile, because a child that cannot write there would not end."""
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            assert time.monotonic() < end, f"the child hangs: {self.seen!r}"
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def _read(self) -> bool:
        ready, _, _ = select.select([self.terminal], [], [], 0.2)
        if ready:
            try:
                data = os.read(self.terminal, 65536)
            except OSError:  # the other side is closed
                data = b""
            self._bytes += data
            self.seen += data.decode(errors="replace")
            return bool(data)
        return self.process.poll() is None


@contextmanager
def running(
    *arguments: object, on_terminal: Sequence[str] = ("stderr",), prefix: Sequence[str] = (), **streams: Any
) -> Iterator[Running]:
    """Starts `edge arguments`; the streams named in `on_terminal` are a pseudo-terminal. Ends it if it still runs.
    `prefix` is a command that starts it, as in `edge`."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, b"\x28\x00\xa0\x00" + bytes(4))  # 40 lines of 160, so that nothing wraps
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **streams} | dict.fromkeys(on_terminal, slave)
    process = subprocess.Popen(
        [*prefix, *COMMAND, *map(str, arguments)],
        env=environment(TERM="xterm", LC_ALL="C.UTF-8"),
        cwd=ROOT,
        **streams,
    )
    os.close(slave)
    try:
        yield Running(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
        os.close(master)
