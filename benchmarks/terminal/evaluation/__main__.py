"""python -m benchmarks.terminal.evaluation DIR: one folder for each evaluation set, the same ones on every machine.

edge eval DIR/digits -b int8 -b int4 --json > results/digits.json
python -m benchmarks.terminal.evaluation.reference CHECKPOINT DIR/digits --out results-bf16
python -m benchmarks.terminal.evaluation.report results-bf16/digits.json results/digits.json
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.terminal.evaluation.drawn import DRAWN
from benchmarks.terminal.evaluation.example import write_set
from benchmarks.terminal.evaluation.real import REAL, some
from edge.errors import EdgeError, UsageError

SETS = (*DRAWN, *REAL)


def write_sets(
    directory: Path, sets: list[str], count: int | None = None, folders: dict[str, Path] | None = None
) -> dict[str, int]:
    """Examples of each set written to `directory`/SET, all of them or the first `count`.

    `folders` holds the recordings and photos of the real sets. Raises UsageError (unknown set, real set without folder,
    set that exists), InputError (folder without what is needed), and EdgeError when a speech program is missing.
    """
    folders = folders or {}
    for name in sets:
        if name not in SETS:
            raise UsageError(f"{name!r} is not an evaluation set.", f"use some of {','.join(SETS)}")
        if name in REAL and name not in folders:
            raise UsageError(f"The set {name} needs a folder.", f"add  --{name.replace('_', '-')} FOLDER")
    written = {}
    for name in sets:
        examples = some(REAL[name](folders[name]), count) if name in REAL else DRAWN[name].examples(count)
        written[name] = write_set(directory / name, examples)
    return written


def main(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Gets a folder for each set.")],
    sets: Annotated[str, typer.Option(help="Names with commas between; all that are possible if left out.")] = "",
    count: Annotated[int | None, typer.Option(min=1, help="Examples of each set, for a quick look.")] = None,
    digits: Annotated[Path | None, typer.Option("--real-digits", help="The folder spoken-digits.")] = None,
    displays: Annotated[Path | None, typer.Option("--real-displays", help="The folder displays.")] = None,
) -> None:
    given = {"real_digits": digits, "real_displays": displays}
    folders = {name: folder for name, folder in given.items() if folder}
    wanted = sets.split(",") if sets else [name for name in SETS if name in DRAWN or name in folders]
    try:
        for name in wanted:
            ((_, number),) = write_sets(directory, [name], count, folders).items()
            typer.echo(f"{directory / name}: {number} examples", err=True)
    except EdgeError as error:
        typer.echo(f"error: {error}\n  next: {error.hint}", err=True)
        raise typer.Exit(error.exit_code) from None


if __name__ == "__main__":
    typer.run(main)
