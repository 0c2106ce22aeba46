"""Phi-4-multimodal's exact geometry with random weights: exported under 2 GB, then measured in every mode.

Writes report.json and report.md into WORK/LAYERSl/results. Nothing else should run meanwhile. A checkpoint and bundles
that are there already are used again.
"""

import datetime
import json
import shlex
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.multimodal.cases import CASES, TEXT_ONLY, Case
from benchmarks.multimodal.lineup import BUNDLES, MINI, mini, tuned
from benchmarks.multimodal.report import failures, markdown, write
from benchmarks.peers import exports
from benchmarks.peers.child import run_child
from benchmarks.peers.lineup import Contender
from benchmarks.peers.machine import git_commit, machine_facts
from benchmarks.peers.measure import measure_once

Place = tuple[Contender, Path]
"""A bundle and the directory that holds it as `bundle`, or is it."""


CHECKPOINT = "benchmarks.multimodal.checkpoint"
"""The module that writes it."""


def tell(message: str) -> None:
    typer.echo(message, err=True)


def chosen(wanted: list[str], known: list[str], what: str) -> list[str]:
    """All that are known unless some are asked for."""
    for name in wanted:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is not a {what}; there are {', '.join(known)}")
    return [name for name in known if name in wanted or not wanted]


def export_all(places: list[Place], source: Path, logs: Path, threads: int) -> dict[str, dict[str, Any]]:
    """Records by bundle; one that an earlier run exported without error keeps its record."""
    ledger = source.parent / "exports.json"
    known: dict[str, dict[str, Any]] = json.loads(ledger.read_text()) if ledger.is_file() else {}
    for bundle, out in places:
        record = known.get(bundle.name)
        if record and not record["error"] and (out / "bundle").is_dir():
            continue
        tell(f"exporting: {bundle.title}")
        known[bundle.name] = asdict(exports.export(bundle, sys.executable, source, out, logs, threads))
        ledger.write_text(json.dumps(known, indent=1))
        if known[bundle.name]["error"]:
            tell(f"  failed, {known[bundle.name]['error']}")
    return {bundle.name: known[bundle.name] for bundle, _ in places}


def tune_copy(bundle: Contender, files: Path, log: Path) -> float:
    """Seconds it takes to make the tuned copy, next to nothing when there is one; exits when it cannot be made."""
    tell(f"tuning: {bundle.title}")
    path = files / "bundle" if (files / "bundle").is_dir() else files
    command = [sys.executable, "-m", "edge.cli.main", "bundle", "tune", str(path)]
    result = run_child(command, log, env=bundle.environment(files))
    if result.status != 0:
        tell(f"error: {path} could not be tuned, {result.failure(log)}")
        raise typer.Exit(1)
    return result.seconds


def run_rounds(
    places: list[Place], cases: list[Case], rounds: int, request: dict[str, Any], logs: Path
) -> list[dict[str, Any]]:
    """Every case of every bundle once a round, in turn; a pair that failed is not tried again."""
    samples: list[dict[str, Any]] = []
    failed: set[tuple[str, str]] = set()
    for number in range(1, rounds + 1):
        for case in cases:
            for bundle, files in places:
                if (bundle.name, case.name) in failed or (bundle.name == MINI and case.name not in TEXT_ONLY):
                    continue
                tell(f"round {number}/{rounds}: {case.title}, {bundle.name}")
                log = logs / f"{bundle.name}.{case.name}.round{number}.log"
                sample = measure_once(bundle, sys.executable, files, request | {"case": case.name}, log)
                samples.append({"round": number, "case": case.name} | sample)
                if "error" in sample:
                    failed.add((bundle.name, case.name))
                    tell(f"  failed, {sample['error']}")
    return samples


def main(
    work: Annotated[Path, typer.Option(help="Where checkpoint, bundles and results go (25 GB at 32 layers).")],
    layers: Annotated[int, typer.Option(min=1, max=32, help="Decoder layers; fewer than 32 for a quick look.")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Measure at least 3 times before you quote.")] = 3,
    decode_tokens: Annotated[int, typer.Option(min=2, help="Length of every answer.")] = 100,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    idle: Annotated[float, typer.Option(min=0, help="Seconds between the first and the second answer.")] = 0,
    bundle: Annotated[list[str], typer.Option(help="int4 or int4-fast; repeat for several.")] = [],  # noqa: B006
    only: Annotated[list[str], typer.Option(help="A case by name; repeat for several.")] = [],  # noqa: B006
    mini_bundle: Annotated[Path | None, typer.Option("--mini", help="A Phi-4-mini bundle to compare with.")] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Tune each bundle first and measure the tuned copies.")] = False,
    export_only: Annotated[bool, typer.Option("--export-only", help="Stop before measuring.")] = False,
    drop_checkpoint: Annotated[bool, typer.Option("--drop-checkpoint", help="Delete it after the exports.")] = False,
) -> None:
    names = chosen(bundle, [one.name for one in BUNDLES], "bundle")
    asked = chosen(only, [one.name for one in CASES], "case")
    home = work.resolve() / f"{layers}l"
    logs = home / "logs"
    places = [(one, home / one.name) for one in BUNDLES if one.name in names]
    if not all((out / "bundle").is_dir() for _, out in places):
        exports.make_checkpoint(CHECKPOINT, home / "checkpoint", layers, logs / "checkpoint.log", tell)
    records = export_all(places, home / "checkpoint", logs, threads)
    if drop_checkpoint:
        shutil.rmtree(home / "checkpoint", ignore_errors=True)
    ready = [place for place in places if not records[place[0].name]["error"]]
    if mini_bundle is not None:
        ready.append((mini(home / MINI / ("home" if tune else "nothing-here"), tune), mini_bundle.resolve()))
    tune_s = {}
    if tune:
        ready = [(one if one.name == MINI else tuned(one), files) for one, files in ready]
        tune_s = {one.name: tune_copy(one, files, logs / f"{one.name}.tune.log") for one, files in ready}
    request = {"threads": threads, "decode_tokens": decode_tokens, "idle_s": idle}
    cases = [] if export_only else [case for case in CASES if case.name in asked]
    report: dict[str, Any] = {
        "schema": 1,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "benchmarks.multimodal", *sys.argv[1:]]),
        "commit": git_commit(Path(__file__).resolve().parents[2]),
        "machine": machine_facts(),
        "settings": {
            "layers": layers,
            "rounds": rounds,
            "threads": threads,
            "decode_tokens": decode_tokens,
            "idle_s": idle,
        },
        "bundles": {one.name: one.title for one, _ in ready},
        "exports": records,
        "tune_s": tune_s,
        "samples": run_rounds(ready, cases, rounds, request, logs),
    }
    for path in write(report, home / "results"):
        tell(f"wrote {path}")
    typer.echo(markdown(report))
    if failures(report):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
