"""python -m benchmarks.arm64 --work DIR: the wheel on emulated ARM64 machines, its answers beside those given here.

Needs root, debootstrap, QEMU and package registries; says why it does nothing where one of them is missing. DIR keeps
the root (700 MB), so only the first run makes it.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.arm64.answers import CASES, Answer
from benchmarks.arm64.compare import Comparison, compare
from benchmarks.arm64.machines import MACHINES, Machine
from benchmarks.arm64.root import REPOSITORY, Root, install_programs, missing
from benchmarks.arm64.subset import FILES
from benchmarks.terminal.ship import CHECKPOINT
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export

INT4_ERROR = 0.02
TESTED = "cortex-a76"


def answers(command: list[str]) -> tuple[list[Answer], float]:
    """What `benchmarks.arm64.answers` prints: answers, and the error of the int4 kernel. Raises CalledProcessError."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise subprocess.CalledProcessError(done.returncode, command)
    told = json.loads(done.stdout)
    return [Answer.of(fields) for fields in told["answers"]], told["int4_error"]


def bundles(root: Root) -> dict[str, tuple[str, ...]]:
    """Title to the argument of `answers`, seen from the repository and from the root: the embedded bundle, and the same
    checkpoint in int4 for ARM."""
    out = root.path / "project/int4"
    run_export(plan_export(CHECKPOINT, ExportOptions(symmetric=True)), out)
    return {"embedded, int8": (), "--target arm64, int4": (str(out), "/project/int4")}


def tests(root: Root, machine: Machine) -> tuple[bool, str]:
    """(whether all passed, pytest's last line)."""
    options = ("--noconftest", "-q", "-p", "no:cacheprovider", "--timeout=1800", "--hypothesis-profile=ci", *FILES)
    command = root.command(machine, "/opt/site/bin/pytest", *options)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout)
    return done.returncode == 0, done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "no output"


def row(table: Table, title: tuple[str, str], compared: list[Comparison], int4_error: float, seconds: float) -> None:
    drift = max(one.drift for one in compared)
    table.add_row(*title, *map(str, compared), f"{drift:.3f}", f"{int4_error:.4f}", f"{seconds:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arm64", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="where the root is kept")
    parser.add_argument("--install", action="store_true", help="apt install debootstrap and QEMU first")
    parser.add_argument("--no-tests", action="store_true", help="compare answers only")
    arguments = parser.parse_args()
    if arguments.install:
        install_programs()
    if reasons := list(missing()):
        print("skipped:", "; ".join(reasons))
        return
    root = Root(arguments.work.absolute())
    root.make()
    table = Table(title="greedy answers on emulated ARM64, beside this machine's (tokens)", title_justify="left")
    for column in ("machine", "bundle"):
        table.add_column(column)
    for name in (*CASES, "drift", "int4 error", "s"):
        table.add_column(name, justify="right")
    sound = True
    for title, places in bundles(root).items():
        expected, _ = answers([sys.executable, "-m", "benchmarks.arm64.answers", *places[:1]])
        for machine in MACHINES:
            started = time.monotonic()
            given, error = answers(root.command(machine, "-m", "benchmarks.arm64.answers", *places[1:]))
            compared = [compare(*pair) for pair in zip(expected, given, strict=True)]
            sound = sound and error < INT4_ERROR and all(one.ok for one in compared)
            row(table, (machine.cpu, title), compared, error, time.monotonic() - started)
            print(f"{machine.cpu}, {title}: {'; '.join(map(str, compared))}", file=sys.stderr)
    Console(width=200).print(table)
    for machine in MACHINES:
        print(f"{machine.cpu}: {machine.like}")
    if not arguments.no_tests:
        passed, line = tests(root, next(one for one in MACHINES if one.cpu == TESTED))
        print(f"{len(FILES)} test files on {TESTED}: {line}")
        sound = sound and passed
    sys.exit(not sound)


if __name__ == "__main__":
    main()
