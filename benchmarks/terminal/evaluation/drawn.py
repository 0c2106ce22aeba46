"""The drawn sets: synthetic speech by voices that nothing was trained on, and drawn pictures, from seeds of their own.

Example k of a set depends on the set and on k only, so a smaller count is a prefix of the whole set.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.terminal.evaluation.example import Example
from benchmarks.terminal.language import talk
from benchmarks.terminal.language.commands import TEMPLATES, Command, draw_command
from benchmarks.terminal.language.numbers import digit_words
from benchmarks.terminal.language.questions import LABEL, LAMP, PLAIN, draw_question
from benchmarks.terminal.language.tools import offer, offer_without
from benchmarks.terminal.speech.utterance import Utterance, draw_no_speech, draw_utterance
from benchmarks.terminal.training.seen import draw_seen
from edge.evaluation.labels import TRANSCRIBE
from edge.evaluation.numbers import only_number

SEED = 990_001
"""First part of every seed here; the seeds of training are below 20,000."""


@dataclass(frozen=True, slots=True)
class DrawnSet:
    """`number` is the second part of its seeds and must never change; `count` its usual size."""

    number: int
    count: int
    draw: Callable[[np.random.Generator, int], Example]

    def examples(self, count: int | None = None) -> Iterator[Example]:
        """The first `count`, which may be more than usual."""
        for index in range(self.count if count is None else count):
            yield self.draw(np.random.default_rng([SEED, self.number, index]), index)


def _spoken(rng: np.random.Generator, words: str) -> Utterance:
    return draw_utterance(rng, words, "held_out")


def _digits(rng: np.random.Generator, index: int) -> Example:
    length = 1 + index % 6
    words = digit_words("".join(map(str, rng.integers(0, 10, length))))
    return Example({"transcript": words, "group": f"length {length}"}, _spoken(rng, words))


def _commands(rng: np.random.Generator, index: int) -> Example:
    command = _command(rng, index)
    return Example({"transcript": command.words, "group": command.call.name}, _spoken(rng, command.words))


def _calls(rng: np.random.Generator, index: int) -> Example:
    command = _command(rng, index)
    tools = tuple(offer(rng, command.call.name))
    label = {"prompt": "", "calls": [asdict(command.call)], "group": command.call.name}
    return Example(label, _spoken(rng, command.words), tools=tools)


def _text_calls(rng: np.random.Generator, index: int) -> Example:
    command = _command(rng, index)
    label = {"prompt": command.written, "calls": [asdict(command.call)], "group": command.call.name}
    return Example(label, tools=tuple(offer(rng, command.call.name)))


def _command(rng: np.random.Generator, index: int) -> Command:
    """Each function equally often."""
    return draw_command(rng, list(TEMPLATES)[index % len(TEMPLATES)])


def _displays(rng: np.random.Generator, index: int) -> Example:
    seen = draw_seen(rng, kind="printed" if index % 5 == 4 else "display")
    metric = "number" if only_number(seen.answer) == seen.answer else "exact"  # a time such as 12:45 is no number
    return Example({"prompt": PLAIN, "answer": seen.answer, "metric": metric, "group": seen.kind}, jpeg=seen.jpeg)


def _labels_lamps(rng: np.random.Generator, index: int) -> Example:
    seen = draw_seen(rng, kind="lamp" if index % 2 else "label")
    question = talk.typed(str(rng.choice(LAMP if index % 2 else LABEL)), rng)
    return Example({"prompt": question, "answer": seen.answer, "group": seen.kind}, jpeg=seen.jpeg)


def _both(rng: np.random.Generator, index: int) -> Example:
    seen = draw_seen(rng)
    question, answer = draw_question(rng, seen.kind, seen.answer, seen.unit or None)
    return Example({"prompt": "", "answer": answer, "group": seen.kind}, _spoken(rng, question), seen.jpeg)


def _talk(rng: np.random.Generator, index: int) -> Example:
    """Small talk, what no terminal does, commands that no tool on offer fits, and commands without any tool."""
    kind = ("small talk", "out of scope", "no such tool", "no tools")[index % 4]
    tools = tuple(offer(rng, None)) if rng.random() < 0.3 else ()
    if kind == "small talk":
        said, answer = talk.draw_talk(rng)
    elif kind == "out of scope":
        said, answer = talk.draw_elsewhere(rng), talk.OUT_OF_SCOPE
    else:
        command = draw_command(rng)
        missing = kind == "no such tool"
        tools = tuple(offer_without(rng, command.call.name)) if missing else ()
        answer = talk.NO_TOOL if missing else talk.NO_TOOLS
        return Example({"prompt": command.written, "answer": answer, "group": kind}, tools=tools)
    return Example({"prompt": talk.typed(said, rng), "answer": answer, "group": kind}, tools=tools)


def _silence(rng: np.random.Generator, index: int) -> Example:
    """Nothing is said or shown: three recordings (two with tools on offer) to two pictures (one with tools)."""
    kind = index % 5
    tools = tuple(offer(rng, None)) if kind in (0, 1, 3) else ()
    group = ("sound" if kind < 3 else "picture") + (", tools" if tools else "")
    if kind < 2:
        return Example({"prompt": "", "calls": [], "group": group}, draw_no_speech(rng), tools=tools)
    if kind == 2:
        label = {"prompt": TRANSCRIBE, "answer": talk.NO_SPEECH, "group": group}
        return Example(label, draw_no_speech(rng))
    label = {"prompt": PLAIN, "answer": talk.NO_DISPLAY, "group": group}
    return Example(label, jpeg=draw_seen(rng, kind="unrelated").jpeg, tools=tools)


DRAWN = {
    "digits": DrawnSet(1, 300, _digits),
    "commands": DrawnSet(2, 300, _commands),
    "calls": DrawnSet(3, 200, _calls),
    "text_calls": DrawnSet(4, 200, _text_calls),
    "displays": DrawnSet(5, 300, _displays),
    "labels_lamps": DrawnSet(6, 100, _labels_lamps),
    "both": DrawnSet(7, 150, _both),
    "talk": DrawnSet(8, 60, _talk),
    "silence": DrawnSet(9, 500, _silence),
}
