"""python -m benchmarks.devices.stall: how soon a camera that fails is noticed, and how soon it is back."""

import contextlib
import json
import os
import random
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.devices.mjpeg import Look, NetworkCamera, PipeCamera, pictures
from edge.devices.camera import Camera

PATIENCE_S = 60.0
AWAY_S = 3.0
"""The camera stays away for so long after that was noticed, so that its process is ended and started again."""

LOOKS: tuple[Look, ...] = ("hang", "black", "green", "frozen")

Break = Callable[[], None]


@dataclass
class Case:
    noticed_s: list[float] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)


@dataclass
class Held:
    """What this process holds, and how many processes it has."""

    threads: int
    descriptors: int
    memory_kb: int
    processes: int


def held() -> Held:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    # a child belongs to the thread that started it
    children = [child for one in Path("/proc/self/task").glob("*/children") for child in one.read_text().split()]
    files = len(list(Path("/proc/self/fd").iterdir()))
    return Held(threading.active_count(), files, int(status["VmRSS"].split()[0]), len(children))


def wait(camera: Camera, seen: bool) -> float:
    """Seconds until there is a picture to be trusted, or none."""
    began = time.monotonic()
    while (camera.frame_or_none() is not None) != seen:
        if time.monotonic() > began + PATIENCE_S:
            raise SystemExit(f"after {PATIENCE_S:.0f} s still no change: {camera.health}")
        time.sleep(0.01)
    return time.monotonic() - began


@contextlib.contextmanager
def cases(folder: Path) -> Iterator[dict[str, tuple[str, Break, Break]]]:
    """Name of a case to source, what breaks the camera, what mends it."""
    with NetworkCamera() as network, PipeCamera(folder / "pipe") as pipe:
        found: dict[str, tuple[str, Break, Break]] = {}
        for where, source, camera in (("network", network.url, network), ("pipe", str(pipe.path), pipe)):
            for look in LOOKS:
                found[f"{where}: {look}"] = (source, _turn(camera, look), _turn(camera, "live"))
        found["network: away"] = (network.url, network.leave, network.come_back)
        yield found


def _turn(camera: NetworkCamera | PipeCamera, look: Look) -> Break:
    return lambda: setattr(camera.show, "look", look)


def one_cycle(camera: Camera, case: Case, breaks: Break, mends: Break) -> None:
    wait(camera, True)
    breaks()
    case.noticed_s.append(wait(camera, False))
    time.sleep(AWAY_S + random.random())  # not in step with the pictures
    mends()
    case.recovered_s.append(wait(camera, True))


def stopped_process(camera: Camera, case: Case) -> None:
    """It hangs for good and has to be replaced: recovery counts from when that was noticed."""
    wait(camera, True)
    assert camera.pid
    os.kill(camera.pid, signal.SIGSTOP)
    case.noticed_s.append(wait(camera, False))
    case.recovered_s.append(wait(camera, True))


def main(
    cycles: Annotated[int, typer.Option(min=1, help="Failures in all, the cases in turn.")] = 50,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
) -> None:
    results: dict[str, Case] = {}
    for look in (*LOOKS[1:], "live"):
        pictures(look)  # so that memory is compared with them
    before = held()
    with tempfile.TemporaryDirectory() as folder, cases(Path(folder)) as found, contextlib.ExitStack() as stack:
        sources = {source for source, _, _ in found.values()}
        cameras = {one: stack.enter_context(Camera(one, lambda health: None)) for one in sorted(sources)}
        names = [*found, "process stopped"]
        for cycle in range(cycles):
            name = names[cycle % len(names)]
            case = results.setdefault(name, Case())
            if name in found:
                source, breaks, mends = found[name]
                one_cycle(cameras[source], case, breaks, mends)
            else:
                stopped_process(cameras[min(sources)], case)
            typer.echo(f"{name:18} noticed {case.noticed_s[-1]:.2f} s, back {case.recovered_s[-1]:.2f} s")
        during = held()
    after = held()
    typer.echo(f"\n{'':18} noticed min / median / max    back min / median / max")
    for name, case in results.items():
        spreads = [f"{min(one):.2f} / {statistics.median(one):.2f} / {max(one):.2f} s" for one in asdict(case).values()]
        typer.echo(f"{name:18} {spreads[0]:28}  {spreads[1]}")
    for when, what in (("before", before), ("during", during), ("after", after)):
        typer.echo(f"{when}: {asdict(what)}")
    if json_file:
        figures = {"cases": {name: asdict(case) for name, case in results.items()}}
        held_then = {"before": asdict(before), "during": asdict(during), "after": asdict(after)}
        json_file.write_text(json.dumps({"cycles": cycles, **figures, "held": held_then}, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
