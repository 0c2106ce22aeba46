"""Single digits by talkers that nobody is, beside the recordings of people and in their form."""

from pathlib import Path

import numpy as np
import soundfile
import soxr
import typer

from benchmarks.terminal.language.numbers import DIGITS as WORDS
from benchmarks.terminal.speech import real_digits, recite

ACCENTED = 0.5
"""Share of the talkers with an accent of their own: of four people, the one from elsewhere is understood worst."""
DIGITS = "digits"
"""Their folder inside that of the recitals."""
_SEED = 67


def recite_digits(model: Path, folder: Path, talkers: int) -> None:
    """Fills `folder` with the ten digits of talkers 0 to `talkers` - 1, the same every time, those that it lacks."""
    reciter = recite.Reciter(model)
    missing = [number for number in range(talkers) if not (folder / _name(number)).exists()]
    with typer.progressbar(missing, label="recite digits") as numbers:
        for number in numbers:
            rng = np.random.default_rng([_SEED, number])
            talker = reciter.talker(rng, ACCENTED)
            beside = folder / f"part-{_name(number)}"
            beside.mkdir(parents=True, exist_ok=True)
            for digit, word in enumerate(WORDS):
                said = reciter.speak(word, talker, speed=float(rng.uniform(0.75, 1.35)))
                samples = soxr.resample(said, recite.RATE, real_digits.RATE)
                soundfile.write(beside / f"{digit}_{_name(number)}_0.wav", np.clip(samples, -1, 1), real_digits.RATE)
            beside.replace(folder / _name(number))


def _name(number: int) -> str:
    return f"talker{number:03d}"
