"""The real sets: lines that point at recordings and photos where they lie. Nothing of them is copied."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.terminal.evaluation.drawn import SEED
from benchmarks.terminal.evaluation.example import Example
from benchmarks.terminal.language.numbers import DIGITS
from benchmarks.terminal.language.questions import PLAIN
from edge import strict_json
from edge.errors import InputError
from edge.evaluation.labels import LABELS


def real_digits(folder: Path) -> list[Example]:
    """DIGIT_SPEAKER_N.wav anywhere in `folder`, asked for the digit as a word; a group for each speaker.

    Raises InputError when there is none.
    """
    found = []
    for file in sorted(folder.rglob("[0-9]_*_*.wav")):
        digit, speaker = file.name.split("_")[:2]
        label = {"audio": str(file.absolute()), "transcript": DIGITS[int(digit)], "metric": "exact", "group": speaker}
        found.append(Example(label))
    if not found:
        raise InputError(f"{folder} has no recordings named DIGIT_SPEAKER_N.wav.", "give the folder spoken-digits")
    return found


def real_displays(folder: Path) -> list[Example]:
    """The photos that labels.jsonl of `folder` names, asked for the number; groups are what stands before `_`.

    Its lines are {"file": …, "litres_whole": …}: only what stands before the decimal point is known, and counts as the
    measure "whole part". Raises InputError.
    """
    labels = folder / LABELS
    if not labels.is_file():
        raise InputError(f"{folder} has no {LABELS}.", "give the folder displays")
    found = []
    for number, line in enumerate(labels.read_bytes().splitlines(), 1):
        where = f"{labels}, line {number}"
        told = strict_json.loads(line, where)
        if not isinstance(told, dict) or not {"file", "litres_whole"} <= told.keys():
            raise InputError(
                f"{where} has no file or no litres_whole.", 'write {"file": "a.jpg", "litres_whole": "33"}'
            )
        photo = (folder / told["file"]).absolute()
        label = {"image": str(photo), "prompt": PLAIN, "answer": str(told["litres_whole"]), "metric": "number"}
        found.append(Example(label | {"group": told["file"].split("_")[0]}))
    return found


REAL: dict[str, Callable[[Path], list[Example]]] = {"real_digits": real_digits, "real_displays": real_displays}


def some(examples: list[Example], count: int | None) -> list[Example]:
    """All, or `count` of them drawn by a fixed seed, in their order."""
    if count is None or count >= len(examples):
        return examples
    chosen = np.random.default_rng([SEED, 100]).permutation(len(examples))[:count]
    return [examples[i] for i in sorted(chosen)]
