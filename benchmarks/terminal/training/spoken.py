"""What is said into the microphone, and the turns that can be made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.terminal.language import talk
from benchmarks.terminal.language.commands import Command, draw_command
from benchmarks.terminal.language.numbers import digit_words
from benchmarks.terminal.language.questions import ASKED
from benchmarks.terminal.language.tools import offer, offer_without
from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.speech import recite
from benchmarks.terminal.speech.real_digits import Digit, draw_recorded
from benchmarks.terminal.speech.recite import Recital
from benchmarks.terminal.speech.utterance import (
    draw_clear_utterance,
    draw_no_speech,
    draw_recording,
    draw_utterance,
    features,
)
from benchmarks.terminal.speech.voices import Split

KINDS = {"digits": 0.42, "command": 0.38, "talk": 0.04, "elsewhere": 0.04, "question": 0.04, "none": 0.08}
MOST_TOOLS = 3
REAL_SHARE, RECITED_SHARE = 0.7, 0.35
"""Of the digits, once there are recordings of people; of digits and commands, where there are recitals."""


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """Log-mel `features` float16 [frames, 80] of `words`; `command` or the `answer` to small talk where it has one."""

    features: np.ndarray
    words: str
    kind: str
    command: Command | None = None
    answer: str = ""


def draw_spoken(
    rng: np.random.Generator,
    split: Split = "train",
    real: Sequence[Mapping[str, Sequence[Digit]]] = (),
    kind: str | None = None,
    longest: int = 6,
    recitals: Sequence[Recital] = (),
) -> Spoken:
    """Something said by somebody; of `real`, groups of speakers that are heard equally often,
    recordings of digits are joined to strings of at most `longest`."""
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    warp = split == "train" and rng.random() < 0.75
    command, answer, words = None, "", ""
    if kind == "none":
        return Spoken(features(draw_no_speech(rng)).astype(np.float16), "", kind)
    if kind == "digits":
        count = 1 if rng.random() < 0.25 else int(rng.integers(1, longest + 1))
        digits = [int(d) for d in rng.integers(0, 10, count)]
        words = digit_words("".join(map(str, digits)))
        if recitals and rng.random() < RECITED_SHARE:
            return _recited(rng, [one for one in recitals if not one.command], warp)
        if real and rng.random() < REAL_SHARE:
            said = draw_recorded(rng, real[int(rng.integers(len(real)))], digits)
            return Spoken(features(said, rng, warp=rng.random() < 0.8).astype(np.float16), words, kind)
    elif kind == "command":
        if recitals and rng.random() < RECITED_SHARE:
            return _recited(rng, [one for one in recitals if one.command], warp)
        command = draw_command(rng)
        words = command.words
    elif kind == "talk":
        words, answer = talk.draw_talk(rng)
    elif kind == "elsewhere":
        words, answer = talk.draw_elsewhere(rng), talk.OUT_OF_SCOPE
    else:
        words = str(rng.choice([question for questions in ASKED.values() for question in questions]))
    made = features(draw_utterance(rng, words, split), rng, warp)
    return Spoken(made.astype(np.float16), words, kind, command, answer)


def _recited(rng: np.random.Generator, recitals: Sequence[Recital], warp: bool) -> Spoken:
    one = recitals[int(rng.integers(len(recitals)))]
    said = draw_recording(rng, one.samples.astype(np.float32) / 32768, recite.RATE, one.words)
    heard = features(said, rng, warp).astype(np.float16)
    return Spoken(heard, one.words, "command" if one.command else "digits", one.command)


def draw_first_lesson(rng: np.random.Generator) -> Spoken:
    """One or two digits, clearly."""
    words = digit_words("".join(map(str, rng.integers(0, 10, int(rng.integers(1, 3))))))
    return Spoken(features(draw_clear_utterance(rng, words)).astype(np.float16), words, "digits")


def spoken_turn(rng: np.random.Generator, spoken: Spoken) -> Turn:
    """A turn with that recording: mostly its transcript, for a command often the call."""
    said = rng.random()
    transcribe = str(rng.choice(talk.TRANSCRIBE)) if rng.random() < 0.5 else talk.TRANSCRIBE[0]
    order = str(rng.choice(talk.DO_IT)) if rng.random() < 0.4 else ""
    if spoken.kind == "none":
        if said < 0.5:
            return Turn(transcribe, talk.NO_SPEECH)
        return Turn(order, talk.NO_SPEECH, tools=tuple(offer(rng, None, MOST_TOOLS)) if said < 0.9 else ())
    if spoken.command and said < 0.5:
        name = spoken.command.call.name
        if said < 0.38:
            return Turn(order, calls=(spoken.command.call,), tools=tuple(offer(rng, name, MOST_TOOLS)))
        if said < 0.45:
            return Turn(order, talk.NO_TOOL, tools=tuple(offer_without(rng, name, MOST_TOOLS)))
        return Turn(order, talk.NO_TOOLS)
    if spoken.answer and said < 0.6:
        return Turn("", spoken.answer, tools=tuple(offer(rng, None, MOST_TOOLS)) if said < 0.3 else ())
    return Turn(transcribe, spoken.words)
