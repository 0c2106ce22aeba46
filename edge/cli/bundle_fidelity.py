"""edge bundle fidelity: what the exports of one checkpoint have lost, side by side."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli import options as opt
from edge.cli.console import harmless, stderr, stdout
from edge.cli.evaluate import check_targets

if TYPE_CHECKING:
    from edge.evaluation.fidelity import Measured

PROMPT, NEW, ROUNDS = 16, 64, 3


def fidelity(
    bundles: Annotated[list[str], typer.Argument(metavar="BUNDLE...", help="Names or directories.")],
    markdown: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw KL against size into this .svg or .png file.")] = None,
    speed: Annotated[bool, typer.Option("--speed", help="Measure decoding speed here as well.")] = False,
    threads: opt.Threads = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """What exports of one checkpoint lost, by mode: KL, first choices, perplexity; with size and speed."""
    check_targets(markdown, plot)
    from edge.bundle.bundle import Bundle
    from edge.bundle.files import write_bytes_durably
    from edge.bundle.store import resolve
    from edge.evaluation.fidelity import check_comparable, read_report, table, to_json, to_markdown
    from edge.evaluation.fidelity_plot import plot as draw

    rows = [read_report(Path(name).name, Bundle.open(resolve(name))) for name in dict.fromkeys(bundles)]
    check_comparable(rows)
    if speed:
        rows = [replace(row, tokens_per_s=_tokens_per_s(row, threads)) for row in rows]
    notes = _notes(rows, speed)
    if markdown:
        write_bytes_durably(markdown, to_markdown(rows, notes).encode())
    if plot:
        drawing = draw(rows, "What quantisation lost")
        write_bytes_durably(plot, drawing.png() if plot.suffix.lower() == ".png" else drawing.svg())
    if as_json:
        typer.echo(json.dumps({"schema": 1, "bundles": [to_json(row) for row in rows]}))
        return
    from rich.table import Table

    titles, cells = table(rows)
    shown = Table()
    for title in titles:
        shown.add_column(title, justify="left" if title in ("bundle", "mode") else "right", overflow="fold")
    for row in cells:
        shown.add_row(*map(harmless, row))
    console = stdout()
    console.print(shown)
    for note in notes:
        console.print(note)


def _tokens_per_s(row: "Measured", threads: int) -> float:
    from edge.model import load
    from edge.runtime.bench import Spread, measure

    with stderr().status(f"measuring {harmless(row.name)}"):
        samples = measure(load(row.bundle.path, threads, ep="cpu").decoder, [PROMPT], NEW, ROUNDS)
    return Spread.of([sample.decode_tokens_per_s for sample in samples]).median


def _notes(rows: Sequence["Measured"], speed: bool) -> list[str]:
    tokens: dict[str, int] = {mode: loss.tokens for row in rows for mode, loss in row.modes.items()}
    over = ", ".join(f"{count:,} {harmless(mode)}" for mode, count in tokens.items())
    notes = [f"Against the checkpoint in float32, over held-out tokens: {over}. KL in nats a token."]
    notes.append(
        "Bits: of a weight in the layers. Differs at: the first token that another is more likely than, median."
    )
    if speed:
        notes.append(f"Speed: median of {ROUNDS} rounds of {NEW} tokens, one bundle after the other.")
    return notes
