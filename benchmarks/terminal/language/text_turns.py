"""What the text base learns: commands, tools, small talk, refusals, and to repeat what it is shown."""

import numpy as np

from benchmarks.terminal.language.commands import draw_command
from benchmarks.terminal.language.numbers import digit_words, in_words
from benchmarks.terminal.language.questions import ASKED
from benchmarks.terminal.language.talk import (
    NO_TOOL,
    NO_TOOLS,
    OUT_OF_SCOPE,
    draw_elsewhere,
    draw_talk,
    typed,
)
from benchmarks.terminal.language.tools import offer, offer_without
from benchmarks.terminal.language.turn import Turn

REPEAT = ("Repeat: ", "Say: ", "Write: ")
SPELL = "Write in digits: "
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


def draw_text_turn(rng: np.random.Generator) -> Turn:
    """A typed turn; a good third are commands with the function on offer."""
    kind = rng.random()
    if kind < 0.38:
        command = draw_command(rng)
        return Turn(command.written, calls=(command.call,), tools=tuple(offer(rng, command.call.name)))
    if kind < 0.45:
        command = draw_command(rng)
        return Turn(command.written, NO_TOOL, tools=tuple(offer_without(rng, command.call.name)))
    if kind < 0.48:
        return Turn(draw_command(rng).written, NO_TOOLS)
    tools = tuple(offer(rng, None)) if rng.random() < 0.3 else ()
    if kind < 0.56:
        said, answer = draw_talk(rng)
        return Turn(typed(said, rng), answer, tools=tools)
    if kind < 0.62:
        return Turn(typed(draw_elsewhere(rng), rng), OUT_OF_SCOPE, tools=tools)
    if kind < 0.70:
        number = int(rng.integers(0, 1000))
        return Turn(SPELL + in_words(number), str(number))
    words = draw_words(rng)
    return Turn(str(rng.choice(REPEAT)) + words, words)


def draw_words(rng: np.random.Generator) -> str:
    """Something to repeat: a command, digits in words or figures, a reading, a label, a question."""
    kind = rng.random()
    if kind < 0.2:
        return draw_command(rng).words
    if kind < 0.55:
        return draw_digits(rng)
    if kind < 0.8:
        return draw_reading(rng)
    if kind < 0.93:
        return "".join(rng.choice(list(_LETTERS), size=int(rng.integers(2, 9))))
    return str(rng.choice([question for questions in ASKED.values() for question in questions]))


def draw_digits(rng: np.random.Generator) -> str:
    """One to six digits in words."""
    return digit_words("".join(map(str, rng.integers(0, 10, int(rng.integers(1, 7))))))


def draw_reading(rng: np.random.Generator) -> str:
    """A number as a display shows it."""
    whole = str(int(rng.integers(0, 10 ** int(rng.integers(1, 6)))))
    decimals = int(rng.choice([0, 1, 2, 2, 3]))
    return whole + ("." + "".join(map(str, rng.integers(0, 10, decimals))) if decimals else "")
