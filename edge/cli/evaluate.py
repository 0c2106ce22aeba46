"""edge eval: how right, how fast and how large a bundle is on labelled inputs."""

import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli import options as opt
from edge.cli.console import harmless, say, stdout
from edge.cli.evaluation_progress import collect
from edge.cli.stand_in import introduce
from edge.errors import InputError, UsageError

if TYPE_CHECKING:
    from edge.evaluation.report import Report

PLOTS = (".svg", ".png")


def evaluate(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER_OR_JSONL", help="Folder with labels.jsonl, or a .jsonl file.")
    ],
    bundle: Annotated[
        list[str] | None, typer.Option("-b", "--bundle", help="Installed name or directory; repeat it to compare.")
    ] = None,
    tools: Annotated[
        Path | None, typer.Option(help="JSON file of functions for lines that expect calls and name no tools.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first lines.")] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", "-n", help="Longest answer.")] = 512,
    max_crops: opt.MaxCrops = None,
    threads: opt.Threads = 0,
    markdown: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the table into this .svg or .png file.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="New directory for every answer (JSONL), report, table and plot.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Measure word errors, right answers, function calls, speed and memory on labelled inputs.

    A line of labels.jsonl is an object: "audio" and "image" (a file or a list), "prompt", "tools" (a file), one of
    "transcript", "answer" and "calls" (a list of name and arguments), and if you like "metric" (wer, exact, number,
    calls) and "group" (a name with a row of its own).
    """
    from edge.bundle.staging import StagedDirectory
    from edge.evaluation.report import Report
    from edge.evaluation.results import Settings
    from edge.evaluation.run import prepare

    check_targets(markdown, plot)
    environment = os.environ.get("EDGE_BUNDLE")  # not typer's envvar, which would split a path at its spaces
    names = bundle or ([environment] if environment else [])
    evaluation = prepare(source, names, Settings(max_tokens, max_crops, threads), tools, limit)
    if not as_json:
        for opened in evaluation.bundles.values():
            introduce(opened)
    with StagedDirectory(out) if out else nullcontext() as stage:
        results, fault, received = collect(evaluation)
        if fault and not results:
            raise fault
        report = Report.of(str(source), evaluation, results)
        _write(report, markdown, plot, stage.path if stage else None)
        if stage:
            stage.commit()
    _show(report, as_json)
    if received:
        raise typer.Exit(128 + received)
    if fault:
        raise fault
    _complain(report, out)


def check_targets(markdown: Path | None, plot: Path | None) -> None:
    """An hour of work must not end with a file that cannot be written."""
    if plot and plot.suffix.lower() not in PLOTS:
        raise UsageError(f"--plot {plot} is neither .svg nor .png", f"try  --plot {plot.stem or 'plot'}.svg")
    for option, path in (("--markdown", markdown), ("--plot", plot)):
        if path and (path.is_dir() or not path.absolute().parent.is_dir()):
            fault = "is a directory" if path.is_dir() else "lies in a directory that does not exist"
            raise UsageError(f"{option} {path} {fault}", "name a file in a directory that exists")


def _write(report: "Report", markdown: Path | None, plot: Path | None, folder: Path | None) -> None:
    """The files that were asked for; each appears whole or not at all, and those in `folder` with it."""
    from edge.bundle.files import disk_errors, write_bytes_durably
    from edge.evaluation.plot import plot as draw
    from edge.evaluation.report import to_json, to_json_lines, to_markdown

    table = to_markdown(report).encode()
    title = f"{report.labels}, {len(report.results)} answers" + (" (partial)" if report.partial else "")
    drawing = draw(report.rows, title)
    if markdown:
        write_bytes_durably(markdown, table)
    if plot:
        write_bytes_durably(plot, drawing.png() if plot.suffix.lower() == ".png" else drawing.svg())
    if folder:
        contents = {
            "results.jsonl": to_json_lines(report.results).encode(),
            "report.json": (json.dumps(to_json(report), indent=1) + "\n").encode(),
            "report.md": table,
            "report.svg": drawing.svg(),
        }
        with disk_errors(folder):
            for name, content in contents.items():
                (folder / name).write_bytes(content)


def _show(report: "Report", as_json: bool) -> None:
    if report.partial:
        say(f"partial: {len(report.results):,} of {report.wanted:,} answers")
    if as_json:
        from edge.evaluation.report import to_json

        typer.echo(json.dumps(to_json(report)))
        return
    from rich.table import Table

    from edge.evaluation.table import NOTES, table

    titles, rows = table(report.rows)
    shown = Table()
    for number, title in enumerate(titles):
        shown.add_column(harmless(title), justify="left" if number < 2 else "right", overflow="fold")
    for number, row in enumerate(rows, 1):
        ends = number < len(rows) and rows[number][0] != ""
        shown.add_row(*map(harmless, row), end_section=ends)
    console = stdout()
    console.print(shown)
    for note in NOTES:
        console.print(note)


def _complain(report: "Report", out: Path | None) -> None:
    """What a reader of the figures must know. Raises InputError when inputs could not be used."""
    cut = sum(row.cut for row in report.rows if row.kind == "mode")
    if cut:
        say(f"{cut:,} answers were cut off at {report.settings.max_tokens} tokens; allow more with --max-tokens")
    failed = [one for one in report.results if one.failed]
    if failed:
        first = failed[0]
        raise InputError(
            f"{len(failed):,} of {len(report.results):,} inputs could not be used and are in no figure; the first is "
            f"line {first.item.line}: {first.failed}",
            f"see {out / 'results.jsonl'}" if out else "correct the lines; --out DIR lists them all",
        )
