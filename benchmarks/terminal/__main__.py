"""python -m benchmarks.terminal train --work DIR --recordings FOLDER: all stages, resumed where they stopped."""

import os
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.terminal.speech.recite import recite
from benchmarks.terminal.speech.recite_digits import DIGITS, recite_digits
from benchmarks.terminal.training.curves import draw_curves
from benchmarks.terminal.training.leave_one_out import leave_one_out as held_out
from benchmarks.terminal.training.pipeline import Steps, Training

STAGES = ("speech", "real", "tower", "vision", "both")
app = typer.Typer(no_args_is_help=True, add_completion=False)
Work = Annotated[Path, typer.Option(help="Weights, optimisers and histories of the stages.")]
Recordings = Annotated[Path | None, typer.Option(help="The folder spoken-digits.")]
Recitals = Annotated[Path | None, typer.Option(help="What `recite` made: natural voices beside the others.")]
Threads = Annotated[int, typer.Option(help="Of this process; makers of examples have one each.")]
Scale = Annotated[float, typer.Option(help="Fraction of the usual steps, for a trial.")]


@app.command()
def train(
    work: Work,
    recordings: Recordings = None,
    recitals: Recitals = None,
    stage: Annotated[list[str] | None, typer.Option(help=f"Only these of {', '.join(STAGES)}.")] = None,
    scale: Scale = 1.0,
    threads: Threads = 1,
) -> None:
    """Text base first, then each modality on the frozen base, then pictures with spoken questions."""
    torch.set_num_threads(threads)
    training = Training(work, Steps().scaled(scale), recordings, recitals)
    for name in stage or STAGES:
        getattr(training, f"train_{name}")()


@app.command("leave-one-out")
def leave_one_out(
    work: Work, recordings: Path, recitals: Recitals = None, steps: int = 250, threads: Threads = 1
) -> None:
    """Holds out each speaker of RECORDINGS in turn and tells how many of his digits are right."""
    torch.set_num_threads(threads)
    shares = held_out(work, recordings, steps, recitals).values()
    print(f"mean {sum(shares) / len(shares):.1%}, worst {min(shares):.1%}")


@app.command("recite")
def recite_all(model: Path, folder: Path, count: int = 1500, talkers: int = 70) -> None:
    """Fills FOLDER with digits and commands in natural voices by the Kokoro model in MODEL."""
    recite(model, folder, count)
    recite_digits(model, folder / DIGITS, talkers)


@app.command()
def checkpoint(work: Work, directory: Path) -> None:
    """Writes the newest weights as a checkpoint."""
    print(Training(work, Steps()).write(directory))


@app.command()
def curves(work: Work, file: Path) -> None:
    """Draws loss and accuracy of all stages as SVG."""
    file.write_bytes(draw_curves(work).svg())


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    app()
