"""python -m benchmarks.live.noise: what wakes the ear that should not, and which voices do not that should."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import soxr
import typer
from rich.progress import track

from benchmarks.live.commands import draw
from benchmarks.terminal.speech.utterance import draw_no_speech
from edge.evaluation.intervals import wilson
from edge.live.ear import Ear
from edge.live.utterances import SpeechEnded
from edge.media.audio_file import read_audio

RATE = 16_000
ROOM = 1e-4  # RMS of a quiet room


def heard(clip: np.ndarray, rng: np.random.Generator) -> int:
    """Utterances that a fresh ear finds in a clip, float32 [N] at 16 kHz, with a quiet room around it."""
    room = rng.normal(0, ROOM, len(clip) + 3 * RATE).astype(np.float32)
    room[RATE // 2 : RATE // 2 + len(clip)] += clip
    return sum(isinstance(event, SpeechEnded) for event in Ear().hear(room))


def noises(count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    for _ in range(count):
        clip = draw_no_speech(rng, people=False)
        yield soxr.resample(clip.samples.astype(np.float32), clip.rate, RATE)


def voices(count: int) -> Iterator[np.ndarray]:
    """Commands in noise, as they are played to the microphone in `benchmarks.live.commands`."""
    with TemporaryDirectory() as folder:
        for command in draw(Path(folder), count):
            said = read_audio(command.file)
            yield soxr.resample(said.samples.astype(np.float32), said.rate, RATE)


def main(
    clips: Annotated[int, typer.Option(help="Clips of silence, noise, music and alarms.")] = 500,
    commands: Annotated[int, typer.Option(help="Spoken commands.")] = 200,
    seed: int = 500,
) -> None:
    rng = np.random.default_rng(seed)
    woken = sum(heard(clip, rng) > 0 for clip in track(noises(clips, rng), "noise", clips))
    found = sum(heard(clip, rng) > 0 for clip in track(voices(commands), "commands", commands))
    for what, count, of in (("taken for speech", woken, clips), ("commands heard", found, commands)):
        low, high = wilson(count, of)
        typer.echo(f"{what}: {count} of {of} ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    typer.run(main)
