"""What the camera sees, as crops with the place of every character, and the turns that can be made of it."""

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.terminal.language.questions import as_typed, draw_question
from benchmarks.terminal.language.tools import offer
from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.pictures.picture import Glyph, draw_picture
from edge.media.crops import Crops, image_crops
from edge.media.tiling import CROP, choose_tiling

PATCH = 28
MAX_CROPS = 2
"""Crops beside the overview; the checkpoint says so in preprocessor_config.json (dynamic_hd)."""
WITH_TOOLS = 0.12
"""Share of the questions that come with functions on offer, which are not needed."""
CHARACTERS = "0123456789-:ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NOTHING, OTHER, CLASSES = 0, 1, len(CHARACTERS) + 2
"""Classes of a patch: nothing, a character not listed, then the characters. Points stand in a plane of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A picture as `jpeg`; the rest as `Picture` has it."""

    jpeg: bytes
    kind: str
    answer: str
    unit: str
    glyphs: tuple[Glyph, ...]


def draw_seen(rng: np.random.Generator, hardest: float = 1.0, kind: str | None = None) -> Seen:
    """A drawn picture; disturbances up to `hardest`."""
    picture = draw_picture(rng, kind, easy=1 - hardest * float(rng.random() ** 0.5))
    quality = int(rng.integers(80, 97))
    _, data = cv2.imencode(".jpg", picture.rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return Seen(data.tobytes(), picture.kind, picture.answer, picture.unit, tuple(picture.glyphs))


def crops_of(seen: Seen) -> tuple[Crops, np.ndarray, np.ndarray]:
    """(crops; class of each patch, int64 [crops, side, side]; bool: does it hold a point)."""
    rgb = cv2.imdecode(np.frombuffer(seen.jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    height, width = rgb.shape[:2]
    tiling = choose_tiling(width, height, MAX_CROPS, PATCH)
    crops = image_crops(np.ascontiguousarray(rgb), tiling)
    classes = np.full((len(crops), tiling.side, tiling.side), NOTHING, np.int64)
    points = np.zeros(classes.shape, bool)
    for character, x, y, _, _ in seen.glyphs:
        x, y = x * tiling.width / width, y * tiling.height / height
        places = [(0, x / tiling.columns, y / tiling.rows)]
        column, row = min(int(x // CROP), tiling.columns - 1), min(int(y // CROP), tiling.rows - 1)
        places.append((1 + row * tiling.columns + column, x - column * CROP, y - row * CROP))
        for crop, across, down in places:
            cell = (
                crop,
                int(np.clip(down // PATCH, 0, tiling.side - 1)),
                int(np.clip(across // PATCH, 0, tiling.side - 1)),
            )
            if character in ".,":
                points[cell] = True
            else:
                classes[cell] = CHARACTERS.find(character) + 2 if character in CHARACTERS else OTHER
    return crops, classes, points


WINDOW = 8, 16
"""Rows and columns of patches in which a display lies as a rule; the rest of a crop mostly teaches nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A part of a crop: `pixels` uint8 [3, 224, 448], and of its patches the ids of their `positions` int64 [8, 16],
    `classes` int64 [8, 16] and `points` bool [8, 16]."""

    pixels: np.ndarray
    positions: np.ndarray
    classes: np.ndarray
    points: np.ndarray


def draw_window(rng: np.random.Generator, hardest: float) -> Window:
    """Around characters of a drawn picture."""
    while True:
        kind = str(rng.choice(["display", "printed", "label"], p=[0.7, 0.2, 0.1]))
        crops, classes, points = crops_of(draw_seen(rng, hardest, kind))
        busy = [crop for crop in range(1, len(crops)) if (classes[crop] != NOTHING).any()]
        if busy:
            break
    crop = int(rng.choice(busy))
    height, width = WINDOW
    rows = np.flatnonzero((classes[crop] != NOTHING).any(1))
    low, high = max(0, rows[-1] - height + 1), min(rows[0], classes.shape[1] - height)
    top = int(rng.integers(min(low, high), max(low, high) + 1))
    row, column = divmod(crop - 1, crops.tiling.columns)
    y, x = row * CROP + top * PATCH, column * CROP
    pixels = crops.padded[y : y + height * PATCH, x : x + width * PATCH].transpose(2, 0, 1)
    cut = slice(top, top + height)
    positions = crops.positions[crop].reshape(classes.shape[1:])[cut]
    return Window(np.ascontiguousarray(pixels), positions, classes[crop, cut], points[crop, cut])


def seen_turn(rng: np.random.Generator, seen: Seen) -> Turn:
    """A typed question about the picture."""
    question, answer = draw_question(rng, seen.kind, seen.answer, seen.unit or None)
    tools = tuple(offer(rng, None, 2)) if rng.random() < WITH_TOOLS else ()
    return Turn(as_typed(question, rng), answer, tools=tools)
