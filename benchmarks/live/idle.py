"""python -m benchmarks.live.idle: what `edge listen` costs while nobody speaks, as a share of one core, from /proc."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import typer

from benchmarks.devices.sound_server import virtual_microphone
from edge.doctor import machine_facts

SETTLED_S = 5.0


def descendants(pid: int) -> list[int]:
    """The process and all that it started, directly or not."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # it has just ended
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_s(pid: int) -> float:
    """Seconds of all cores, of the process itself and of children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def threads(pid: int | str) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def main(seconds: float = 60.0) -> None:
    facts = machine_facts()
    with virtual_microphone():
        command = [sys.executable, "-m", "edge.cli.main", "listen", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            events = (json.loads(line) for line in process.stdout)
            next(event for event in events if event.get("state") == "listening")
            time.sleep(SETTLED_S)
            pids = descendants(process.pid)
            before, began = {pid: cpu_s(pid) for pid in pids}, time.monotonic()
            time.sleep(seconds)
            passed = time.monotonic() - began
            shares = {pid: (cpu_s(pid) - before[pid]) / passed for pid in pids}
            names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:3] for pid in pids}
            counts = {pid: threads(pid) for pid in pids}
            process.terminate()
    print(f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}; {passed:.0f} s of silence")
    print("| process | threads | share of a core |\n|---|---:|---:|")
    for pid, share in shares.items():
        print(f"| {b' '.join(names[pid]).decode()} | {counts[pid]} | {share:.2%} |")
    print(f"| together | {sum(counts.values())} | {sum(shares.values()):.2%} |")


if __name__ == "__main__":
    typer.run(main)
