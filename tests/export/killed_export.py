"""Exports that are killed on the way and then resumed, in processes of their own.

python -m tests.export.killed_export CHECKPOINT DIRECTORY < jobs.json > results.json

A job is [kind, number]; the process gets SIGKILL, or dies by another signal that cannot be handled,
  weight N      when the N-th weight has been reported as done,
  byte N        in the write that makes a file longer than N bytes (the kernel stops it in the middle),
  operation N   before the N-th operation on a file (open, write, fsync, rename, unlink, mkdir) through `os`.
Forks of one process without threads, because starting Python for every job would take most of the time.
"""

import hashlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.bundle.verify import verify
from export.exporter import ExportReport, Progress, run_export
from export.options import ExportOptions
from export.plan import plan_export
from export.weights import writer

OPERATIONS = ("open", "write", "fsync", "fdatasync", "rename", "unlink", "mkdir")
FINISHED = 0


def hashes(bundle: Path) -> dict[str, str]:
    """SHA-256 of every file, hidden ones too."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(bundle.iterdir())}


def in_fork(work: Callable[[], Any]) -> tuple[int, Any]:
    """(wait status, the JSON value `work` returned if it got that far)."""
    reader, sender = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reader)
            data = json.dumps(work()).encode()
            with os.fdopen(sender, "wb") as pipe:
                pipe.write(data)
            code = FINISHED
        finally:
            os._exit(code)
    os.close(sender)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    return os.waitpid(child, 0)[1], json.loads(data) if data else None


def export(checkpoint: Path, out: Path, progress: Callable[[Progress], None] = lambda _: None) -> ExportReport:
    return run_export(plan_export(checkpoint, ExportOptions()), out, progress)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(checkpoint: Path, out: Path, kind: str, number: int) -> None:
    seen = 0

    def count(_: object = None) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            die()

    plan = plan_export(checkpoint, ExportOptions())
    if kind == "byte":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
    if kind == "operation":
        for name in OPERATIONS:
            setattr(os, name, _counted(getattr(os, name), count))
    run_export(plan, out, count if kind == "weight" else lambda _: None)


def _counted(real: Callable[..., Any], count: Callable[[], None]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        count()
        return real(*args, **kwargs)

    return call


def run_job(checkpoint: Path, directory: Path, kind: str, number: int) -> dict[str, Any]:
    directory.mkdir()
    out = directory / "bundle"
    status, _ = in_fork(lambda: killed(checkpoint, out, kind, number))
    result: dict[str, Any] = {
        "job": [kind, number],
        "killed": os.WIFSIGNALED(status),
        "existed": out.exists(),
        "whole": out.exists() and verify(out).ok,
        "resumed_bytes": 0,
    }
    if not out.exists():
        status, report = in_fork(lambda: {"resumed_bytes": export(checkpoint, out).resumed_bytes})
        result |= report or {"failed": status}
    return result | {"hashes": hashes(out), "beside": sorted(path.name for path in directory.iterdir())}


def main() -> None:
    writer.SYNC_BYTES = 1 << 16  # the miniature is far smaller than the real interval
    checkpoint, directory = Path(sys.argv[1]), Path(sys.argv[2])
    jobs = json.load(sys.stdin)
    json.dump([run_job(checkpoint, directory / str(i), *job) for i, job in enumerate(jobs)], sys.stdout)


if __name__ == "__main__":
    main()
