"""`edge listen` as a child process, what is said to it, and what it leaves behind."""

import json
import queue
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.demo import __main__ as demo
from benchmarks.devices.sound_server import SoundServer
from tests.cli.child import COMMAND, DEADLINE, ROOT, Running, environment, running
from tests.live.tools_files import runs, until

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
SPOKEN, ASKED = demo.FOLDER / "command.wav", demo.FOLDER / "question.wav"
SPEED = json.loads((demo.FOLDER / "tools.json").read_text())[0]


class Program:
    """`edge listen --json` under way, and all its events. Nobody can confirm anything; keys come from `stdin`, if it
    is a terminal."""

    def __init__(self, *arguments: object, stdin: int = subprocess.DEVNULL, **env: str) -> None:
        self.events: list[dict[str, Any]] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [*COMMAND, "listen", "--json", "-n", "60", *map(str, arguments)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            env=environment(**env),
            cwd=ROOT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def until(self, event: str, **fields: object) -> dict[str, Any]:
        """The next one that has all `fields`."""
        while (line := self._lines.get(timeout=DEADLINE)) is not None:
            told = json.loads(line)
            self.events.append(told)
            if told["event"] == event and told.items() >= fields.items():
                return dict(told)
        raise AssertionError(f"{event} {fields} never came: {self.events}")

    def told(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """All so far that have all `fields`; after `leave` there are no others."""
        return [one for one in self.events if one["event"] == event and one.items() >= fields.items()]

    def leave(self, number: signal.Signals) -> int:
        """Exit code; what it had started is gone then, or soon."""
        started = self.descendants()
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE)
        wait_for_the_end_of(started)
        while (line := self._lines.get(timeout=DEADLINE)) is not None:
            self.events.append(json.loads(line))
        return code

    def descendants(self) -> list[int]:
        return descendants(self.process)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)


Start = Callable[..., Program]


def on_terminal(*arguments: object, **how: Any) -> AbstractContextManager[Running]:
    """`edge listen` with a keyboard and a screen."""
    return running("listen", "-n", "60", *arguments, on_terminal=("stdin", "stdout", "stderr"), **how)


def leave_terminal(child: Running, number: signal.Signals) -> int:
    """As `Program.leave`."""
    started = descendants(child.process)
    child.signal(number)
    code = child.finish()
    wait_for_the_end_of(started)
    return code


def tools_file(folder: Path, *command: str, safe: bool = True) -> Path:
    path = folder / "tools.json"
    path.write_text(json.dumps([{**SPEED, "run": {"command": command, "safe": safe}}]))
    return path


def voice(folder: Path, script: str) -> str:
    """For --speak: a program that leaves what it reads out in `folder / "said"`, then does what `script` says."""
    (folder / "voice.sh").write_text(f"cat >> {folder / 'said'}\n{script}\n")
    return f"sh {folder / 'voice.sh'}"


def play(booth: SoundServer, recording: Path) -> None:
    assert booth.play(recording, "booth").wait(DEADLINE) == 0


def descendants(process: "subprocess.Popen[Any]") -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
    found = [process.pid]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def wait_for_the_end_of(pids: list[int]) -> None:
    for pid in pids:
        until(lambda pid=pid: not runs(pid))


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
