"""Builds each contender's files from the one checkpoint and measures what that takes."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from benchmarks.peers.child import run_child
from benchmarks.peers.lineup import Contender


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """What one export took. `seconds` and `peak_rss_bytes` leave `prepare_s`, the on-device step, out."""

    seconds: float
    peak_rss_bytes: int
    disk_bytes: int
    prepare_s: float = 0.0
    error: str = ""


def make_checkpoint(module: str, directory: Path, layers: int, log: Path, tell: Callable[[str], None]) -> None:
    """Runs `module` unless `directory` is there; in a child, because ru_maxrss of later children would start at what
    this process has used. Exits when it fails."""
    if directory.exists():
        return
    tell(f"writing a random checkpoint with {layers} decoder layers")
    result = run_child([sys.executable, "-m", module, str(directory), "--layers", str(layers)], log)
    if result.status != 0:
        tell(f"error: the checkpoint could not be written, {result.failure(log)}")
        raise typer.Exit(1)


def directory_bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def export(contender: Contender, python: str, source: Path, out: Path, logs: Path, threads: int) -> ExportRecord:
    """Replaces `out`. An error of the contender's tools is recorded, not raised."""
    scratch = out.with_name(out.name + ".scratch")
    for directory in (out, scratch):
        shutil.rmtree(directory, ignore_errors=True)
    out.mkdir(parents=True)
    places = {"source": source, "out": out, "scratch": scratch, "threads": threads}

    def command(arguments: tuple[str, ...]) -> list[str]:
        return [python, *(argument.format(**places) for argument in arguments)]

    environment = contender.environment(out)
    log = logs / f"{contender.name}.export.log"
    result = run_child(command(contender.export), log, env=environment)
    shutil.rmtree(scratch, ignore_errors=True)
    error = result.failure(log)
    prepare_s = 0.0
    if contender.prepare and not error:
        log = logs / f"{contender.name}.prepare.log"
        prepared = run_child(command(contender.prepare), log, env=environment)
        prepare_s, error = prepared.seconds, prepared.failure(log)
    return ExportRecord(result.seconds, result.max_rss_bytes, directory_bytes(out), prepare_s, error)


def save(records: dict[str, ExportRecord], path: Path) -> None:
    path.write_text(json.dumps({name: asdict(record) for name, record in records.items()}, indent=1))


def load(path: Path) -> dict[str, ExportRecord]:
    """What an earlier run measured; empty if there was none."""
    if not path.is_file():
        return {}
    return {name: ExportRecord(**fields) for name, fields in json.loads(path.read_text()).items()}
