"""Unplugs a microphone again and again: seconds until it is noticed, until it records again, and what is left over.

`python -m benchmarks.devices.unplug --cycles 50 --json FILE`, with a PulseAudio of its own; needs pulseaudio, pactl
and PortAudio. One cycle of each case after the other.
"""

import json
import os
import queue
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.devices.sound_server import SoundServer
from edge.devices.health import Health
from edge.devices.microphone import Microphone

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Left:
    """What this process holds."""

    threads: int
    descriptors: int
    children: int
    rss_mb: float


@dataclass(frozen=True)
class Times:
    """`noticed` from the event until health left "live"; `recovered` from the repair, or from noticing where nothing
    needs repair, until it is "live" again; seconds."""

    case: str
    noticed: float
    recovered: float


class Bench:
    """A microphone named `name` that is live whenever a case begins."""

    def __init__(self, server: SoundServer, name: str | None) -> None:
        self.server = server
        self._healths: queue.Queue[tuple[float, Health]] = queue.Queue()
        self.microphone = Microphone(name, self._heard, lambda health: self._healths.put((time.monotonic(), health)))
        self._until(lambda health: health.state == "live")

    def _heard(self, samples: np.ndarray) -> None:
        pass

    def cycle(self, case: str, event: Callable[[], None], repair: Callable[[], None]) -> Times:
        while not self._healths.empty():
            self._healths.get()
        begun = time.monotonic()
        event()
        noticed = self._until(lambda health: health.state != "live") - begun
        begun = time.monotonic()
        repair()
        return Times(case, noticed, max(0.0, self._until(lambda health: health.state == "live") - begun))

    def _until(self, wanted: Callable[[Health], bool]) -> float:
        while True:
            at, health = self._healths.get(timeout=PATIENCE_S)
            if wanted(health):
                return at


def nothing() -> None:
    """For what repairs itself."""


def cases_of_a_named_one(bench: Bench) -> list[Times]:
    server = bench.server

    def restart() -> None:
        server.start()
        server.add("other")
        server.add("desk")

    def another_rate() -> None:
        server.add("desk", rate=16000, channels=2)

    def kill_process() -> None:
        assert bench.microphone.pid
        os.kill(bench.microphone.pid, signal.SIGKILL)

    def stop_process() -> None:
        assert bench.microphone.pid
        os.kill(bench.microphone.pid, signal.SIGSTOP)

    def unplug() -> None:
        server.remove("desk")

    return [
        bench.cycle("named, another is there", unplug, lambda: server.add("desk")),
        bench.cycle("named, comes back with another rate", unplug, another_rate),
        bench.cycle("named, stream moved", lambda: server.move_recordings("other"), nothing),
        bench.cycle("sound server killed", server.stop, restart),
        bench.cycle("recording process killed", kill_process, nothing),
        bench.cycle("recording process hangs", stop_process, nothing),
    ]


def cases_of_the_default(bench: Bench) -> list[Times]:
    server, first = bench.server, bench.microphone.source
    second = "other" if first == "desk" else "desk"
    server.choose(first)
    times = [
        bench.cycle("default, another takes over", lambda: server.remove(first), nothing),
        bench.cycle("default, none is left", lambda: server.remove(second), lambda: server.add(first)),
    ]
    server.add(second)
    return times


def left() -> Left:
    status = Path("/proc/self/status").read_text()
    rss = int(status.split("VmRSS:")[1].split()[0]) / 1024
    children = sum(len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children"))
    return Left(threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), children, round(rss, 1))


def table(times: list[Times]) -> str:
    lines = [
        "| case | cycles | noticed: min / median / max s | recovered: min / median / max s |",
        "|---|---|---|---|",
    ]
    for case in dict.fromkeys(one.case for one in times):
        of_case = [one for one in times if one.case == case]
        columns = [
            f"{min(one):.2f} / {statistics.median(one):.2f} / {max(one):.2f}"
            for one in ([time.noticed for time in of_case], [time.recovered for time in of_case])
        ]
        lines.append(f"| {case} | {len(of_case)} | {columns[0]} | {columns[1]} |")
    return "\n".join(lines)


def main(
    cycles: Annotated[int, typer.Option(help="Of each case.")] = 50,
    out: Annotated[Path | None, typer.Option("--json", help="File for all the numbers.")] = None,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = SoundServer(Path(directory))
        os.environ |= server.environment
        server.start()
        server.add("desk")
        server.add("other")
        times: list[Times] = []
        states: list[Left] = []
        try:
            for name, cases in (("desk", cases_of_a_named_one), (None, cases_of_the_default)):
                bench = Bench(server, name)
                for cycle in range(cycles):
                    times += cases(bench)
                    states.append(left())
                    typer.echo(f"{name or 'default'}: cycle {cycle + 1} of {cycles}, {states[-1]}", err=True)
                bench.microphone.close()
            closed = left()
        finally:
            server.stop()
    typer.echo(table(times))
    typer.echo(
        f"\nafter the first cycle  {states[0]}\nafter the last cycle   {states[-1]}\nclosed                 {closed}"
    )
    if out:
        kept = {"times": [asdict(one) for one in times], "states": [asdict(one) for one in states]}
        out.write_text(json.dumps(kept | {"closed": asdict(closed)}, indent=1))


if __name__ == "__main__":
    typer.run(main)
