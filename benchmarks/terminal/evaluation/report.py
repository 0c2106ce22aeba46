"""python -m benchmarks.terminal.evaluation.report FILE.json…: one table of all sets and bundles, for the model card."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.terminal.evaluation.figures import Key, joined, read_reports
from edge.errors import EdgeError, UsageError
from edge.evaluation.plot import plot
from edge.evaluation.scores import ERRORS, MEASURES
from edge.evaluation.summary import Figure, Row
from edge.evaluation.table import percent

ALLOWED = {"int8": 0.5, "int4": 1.5}
"""Points that a bundle with this in its name may lose against the baseline."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a set: answers that are right by any of `keys` (an item has one of them), or a rate of errors.

    `wanted` is the least share of right answers, or the most errors.
    """

    title: str
    keys: tuple[str, ...]
    wanted: float | None = None
    group: str = ""


RIGHT = ("number", "exact", "calls")
LINES: dict[str, tuple[Line, ...]] = {
    "digits": (
        Line("WER", ("wer",), 0.03),
        Line("WER, each digit a word", ("wer_basic",)),
        Line("string right", ("transcript",)),
    ),
    "commands": (Line("WER", ("wer",), 0.05), Line("sentence right", ("transcript",))),
    "calls": (Line("right call", ("calls",), 0.95), Line("valid call", ("valid_calls",))),
    "text_calls": (Line("right call", ("calls",), 0.95), Line("valid call", ("valid_calls",))),
    "displays": (Line("reading right", RIGHT, 0.97),),
    "labels_lamps": (Line("label right", RIGHT, group="label"), Line("lamp right", RIGHT, group="lamp")),
    "both": (Line("answer right", RIGHT),),
    "talk": (Line("answer right", RIGHT),),
    "silence": (Line("nothing invented", RIGHT, 0.99),),
    "real_digits": (Line("digit right", RIGHT),),
    "real_displays": (
        Line("whole part, hq", ("whole",), 0.60, "hq"),
        Line("whole part, mq", ("whole",), None, "mq"),
    ),
}
"""What each set is about, and what was asked for. Other sets show all that was measured."""
BY_GROUP = {"displays": "reading right, {}", "silence": "nothing invented, {}", "real_digits": "digit right, {}"}
"""Sets with a line for every group as well: speakers differ, and so do sounds and pictures."""


def table(rows: Mapping[Key, Row], baseline: str) -> str:
    """Markdown. Points lost count downwards for right answers and upwards for errors; what misses the mark is bold."""
    bundles = [baseline, *(b for b in dict.fromkeys(key.bundle for key in rows) if b != baseline)]
    heads = ["set", "measure", "items", "wanted", bundles[0]]
    for bundle in bundles[1:]:
        heads += [bundle, "points lost"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for name in dict.fromkeys(key.set for key in rows):
        label = name
        for line in _lines(rows, name):
            figures = {bundle: figure_of(rows.get(Key(name, bundle, line.group)), line) for bundle in bundles}
            if any(figures.values()):
                lines.append("| " + " | ".join([label, *_cells(line, figures)]) + " |")
                label = ""
    return "\n".join(lines) + "\n"


def figure_of(row: Row | None, line: Line) -> Figure | None:
    """None when nothing of it was measured."""
    found = [(key, row.figures[key]) for key in line.keys if key in row.figures] if row else []
    return joined(found[0][0], [figure for _, figure in found]) if found else None


def lost(baseline: Figure, figure: Figure, line: Line) -> float:
    """Points that are worse than in the baseline."""
    change = 100 * (figure.value - baseline.value)
    return change if line.keys[0] in ERRORS else -change


def _lines(rows: Mapping[Key, Row], name: str) -> Iterator[Line]:
    known = LINES.get(name)
    if known is None:
        measured = {measure for key, row in rows.items() if key.set == name for measure in row.figures}
        known = tuple(Line(title, (measure,)) for measure, title in MEASURES.items() if measure in measured)
    yield from known
    if name in BY_GROUP:
        for group in dict.fromkeys(key.group for key in rows if key.set == name and key.group):
            yield Line(BY_GROUP[name].format(group), known[0].keys, group=group)


def _cells(line: Line, figures: Mapping[str, Figure | None]) -> list[str]:
    errors = line.keys[0] in ERRORS
    items = next(figure.items for figure in figures.values() if figure)
    wanted = "" if line.wanted is None else f"{'≤' if errors else '≥'} {100 * line.wanted:g} %"
    cells = [line.title, str(items), wanted]
    base, *_ = figures.values()
    for number, (bundle, figure) in enumerate(figures.items()):
        missed = False
        if figure and line.wanted is not None:
            missed = figure.value > line.wanted if errors else figure.value < line.wanted
        cells.append(_bold(percent(figure), missed))
        if number:
            points = lost(base, figure, line) if base and figure else None
            cells.append("–" if points is None else _bold(_signed(points), points > _allowed(bundle)))
    return cells


def _allowed(bundle: str) -> float:
    # a rounding error more: 0.5 points may be 0.49999 or 0.50001
    return next((points + 1e-6 for kind, points in ALLOWED.items() if kind in bundle), float("inf"))


def _signed(points: float) -> str:
    return f"{points:+.1f}" if round(points, 1) else "0.0"


def _bold(text: str, bold: bool) -> str:
    return f"**{text}**" if bold else text


def main(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.json...", help="Reports of edge eval --json.")],
    baseline: Annotated[str, typer.Option(help="What the others are compared with; the first one if left out.")] = "",
    markdown: Annotated[Path | None, typer.Option(help="Write the table to this file instead.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the sets into this file.")] = None,
) -> None:
    try:
        rows = read_reports(files)
        text = table(rows, _baseline(rows, baseline))
    except EdgeError as error:
        typer.echo(f"error: {error}\n  next: {error.hint}", err=True)
        raise typer.Exit(error.exit_code) from None
    if markdown:
        markdown.write_text(text, encoding="utf-8")
    else:
        typer.echo(text, nl=False)
    if svg:
        svg.write_bytes(plot(_sets(rows), "Evaluation sets of the factory terminal").svg())


def _baseline(rows: Mapping[Key, Row], wanted: str) -> str:
    known = list(dict.fromkeys(key.bundle for key in rows))
    if wanted and wanted not in known:
        raise UsageError(f"No report is about {wanted!r}.", f"use one of {', '.join(known)}")
    return wanted or known[0]


def _sets(rows: Mapping[Key, Row]) -> Sequence[Row]:
    return [row for key, row in rows.items() if not key.group]


if __name__ == "__main__":
    typer.run(main)
