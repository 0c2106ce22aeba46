"""What the camera sees, and the turns that can be made of it."""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from benchmarks.terminal.language.questions import as_typed, draw_question
from benchmarks.terminal.language.tools import offer
from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.pictures.picture import Glyph, draw_picture

PATCH = 28
MAX_CROPS = 2
"""Crops beside the overview; the checkpoint says so in preprocessor_config.json (dynamic_hd)."""
WITH_TOOLS = 0.12
"""Share of the questions that come with functions on offer, which are not needed."""


class Shown(Protocol):
    """What can be asked about."""

    @property
    def kind(self) -> str: ...
    @property
    def answer(self) -> str: ...
    @property
    def unit(self) -> str: ...


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A picture as `jpeg`; the rest as `Picture` has it."""

    jpeg: bytes
    kind: str
    answer: str
    unit: str
    glyphs: tuple[Glyph, ...]


def draw_seen(rng: np.random.Generator, kind: str | None = None) -> Seen:
    """A drawn picture, seldom an undisturbed one."""
    picture = draw_picture(rng, kind, easy=1 - float(rng.random() ** 0.5))
    quality = int(rng.integers(80, 97))
    _, data = cv2.imencode(".jpg", picture.rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return Seen(data.tobytes(), picture.kind, picture.answer, picture.unit, tuple(picture.glyphs))


def seen_turn(rng: np.random.Generator, seen: Shown) -> Turn:
    """A typed question about the picture."""
    question, answer = draw_question(rng, seen.kind, seen.answer, seen.unit or None)
    tools = tuple(offer(rng, None, 2)) if rng.random() < WITH_TOOLS else ()
    return Turn(as_typed(question, rng), answer, tools=tools)
