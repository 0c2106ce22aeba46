"""phi-edge beside onnxruntime-genai and llama.cpp on one checkpoint of Phi-4-mini's exact geometry.

Writes report.json, report.md and report.svg into WORK/LAYERSl/results. Nothing else should run meanwhile.
"""

import datetime
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.peers import exports as exporting
from benchmarks.peers.lineup import CONTENDERS, Contender
from benchmarks.peers.machine import git_commit, machine_facts
from benchmarks.peers.measure import prompts, run_rounds
from benchmarks.peers.peers_python import interpreter_for, make
from benchmarks.peers.report import failures, markdown, write

CHECKPOINT = "benchmarks.peers.random_checkpoint"
"""The module that writes it."""


def tell(message: str) -> None:
    typer.echo(message, err=True)


def choose(only: list[str]) -> list[Contender]:
    known = {contender.name: contender for contender in CONTENDERS}
    for name in only:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is not an engine; there are {', '.join(known)}")
    return [one for one in CONTENDERS if (one.name in only if only else not one.optional)]


def parse_lengths(text: str) -> list[int]:
    try:
        lengths = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of token counts like 16,256,1024") from None
    if lengths[0] < 1:
        raise typer.BadParameter("a prompt needs at least one token")
    return lengths


def export_all(
    line_up: list[tuple[Contender, str, Path]], source: Path, logs: Path, threads: int, reuse: bool
) -> dict[str, exporting.ExportRecord]:
    """Records of all contenders; with `reuse` those that an earlier run exported stay as they are."""
    ledger = source.parent / "exports.json"
    records = exporting.load(ledger)
    for contender, python, out in line_up:
        known = records.get(contender.name)
        if reuse and known and not known.error and out.is_dir():
            continue
        tell(f"exporting: {contender.title}")
        records[contender.name] = exporting.export(contender, python, source, out, logs, threads)
        exporting.save(records, ledger)
        if records[contender.name].error:
            tell(f"  failed, {records[contender.name].error}")
    return {contender.name: records[contender.name] for contender, _, _ in line_up}


def main(
    work: Annotated[Path, typer.Option(help="Where checkpoint, exports and results go (40 GB at 32 layers).")],
    layers: Annotated[int, typer.Option(min=1, max=32, help="Fewer than 32 for a quick look.")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Measure at least 3 times before you quote.")] = 3,
    prompt_lengths: Annotated[str, typer.Option(help="Tokens, separated by commas.")] = "16,256,1024",
    decode_tokens: Annotated[int, typer.Option(min=1)] = 64,
    threads: Annotated[int, typer.Option(min=1, help="For each engine.")] = 2,
    only: Annotated[list[str], typer.Option(help="An engine by name; repeat for several.")] = [],  # noqa: B006
    peers_python: Annotated[str, typer.Option(help="Interpreter that has the peers; made when absent.")] = "",
    skip_export: Annotated[bool, typer.Option("--skip-export", help="Use what an earlier run exported.")] = False,
) -> None:
    chosen, lengths = choose(only), parse_lengths(prompt_lengths)
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    home, logs = work / f"{layers}l", work / f"{layers}l" / "logs"
    peers = peers_python or ("" if all(one.own for one in chosen) else make(work, tell))
    line_up = [(one, interpreter_for(one, peers), home / one.name) for one in chosen]
    exporting.make_checkpoint(CHECKPOINT, home / "checkpoint", layers, logs / "checkpoint.log", tell)
    records = export_all(line_up, home / "checkpoint", logs, threads, skip_export)
    ready = [entry for entry in line_up if not records[entry[0].name].error]
    request = {"threads": threads, "prompts": prompts(lengths), "decode_tokens": decode_tokens}
    samples = run_rounds(ready, rounds, request, logs, tell)
    report: dict[str, Any] = {
        "schema": 1,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "benchmarks.peers", *sys.argv[1:]]),
        "commit": git_commit(Path(__file__).resolve().parents[2]),
        "machine": machine_facts(),
        "settings": {
            "layers": layers,
            "rounds": rounds,
            "threads": threads,
            "prompt_lengths": lengths,
            "decode_tokens": decode_tokens,
        },
        "contenders": {one.name: one.title for one in chosen},
        "exports": {name: asdict(record) for name, record in records.items()},
        "samples": samples,
    }
    for path in write(report, home / "results"):
        tell(f"wrote {path}")
    typer.echo(markdown(report))
    if failures(report):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
