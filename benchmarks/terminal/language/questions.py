"""Questions about a picture and their answers, for each kind of picture."""

import numpy as np

from benchmarks.terminal.language.talk import NO_DISPLAY, NO_LABEL, NO_LAMP, NO_UNIT, typed

READ = (
    "read the display", "what does the display show", "what is the reading", "read the number",
    "what is on the display", "what does it show",
)  # fmt: skip
UNIT = ("what is the unit", "which unit is it", "what unit does it show")
LABEL = ("read the label", "what does the label say", "what is on the label")
LAMP = ("what colour is the lamp", "which lamp is on", "what is the lamp", "is the lamp on and which colour")
PLAIN = "Read the display."

ASKED = {"reading": READ, "unit": UNIT, "label": LABEL, "lamp": LAMP}
MISSING = {"reading": NO_DISPLAY, "unit": NO_UNIT, "label": NO_LABEL, "lamp": NO_LAMP}
OWN = {"display": "reading", "printed": "reading", "label": "label", "lamp": "lamp"}
"""What there is to ask about each kind of picture."""


def draw_question(rng: np.random.Generator, kind: str, answer: str, unit: str | None) -> tuple[str, str]:
    """(question in words, its answer) for a picture of `kind` that shows `answer` and, with a reading, `unit`.

    Mostly about what is there; one in eight about what is not.
    """
    own = OWN.get(kind)
    if own and rng.random() < 0.875:
        about = "unit" if own == "reading" and unit and rng.random() < 0.15 else own
    else:
        about = str(rng.choice([a for a in ASKED if a != own]))
    return str(rng.choice(ASKED[about])), answer_to(about, kind, answer, unit)


def answer_to(about: str, kind: str, answer: str, unit: str | None) -> str:
    """What is seen of `about`, or the sentence that says there is none."""
    if about == OWN.get(kind):
        return answer
    if about == "unit" and OWN.get(kind) == "reading" and unit:
        return unit
    return MISSING[about]


def as_typed(question: str, rng: np.random.Generator) -> str:
    """The plain request often: it is what most people type."""
    return PLAIN if question in READ and rng.random() < 0.5 else typed(question, rng)
