"""Windows on the characters of drawn pictures, each time warped and lit anew, with what stands in every patch.

Drawing a picture costs twice as much as learning from a window, and a tower that sees the same window eight times
learns the window by heart: a warp makes it a new one for a tenth of the price.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.terminal.pictures.display import UNITS
from benchmarks.terminal.pictures.picture import Glyph, draw_picture
from benchmarks.terminal.training.seen import PATCH
from edge.media.tiling import CROP

CHARACTERS = "0123456789-:ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NAMES = ("", "other", *CHARACTERS, *(unit for unit in UNITS if unit not in CHARACTERS))
"""What can stand in a patch: nothing, a character not listed, one that is, or a unit. Points are told apart from it."""
KINDS, ODDS = ("display", "printed", "label"), (0.75, 0.17, 0.08)
ROWS, COLUMNS = 8, 16
"""Patches of a window. A display lies within as a rule; the rest of a crop mostly teaches nothing."""
PITCHES = 34, 110
"""Pixels from character to character in a window. In the whole picture they are farther apart in large displays, which
the overview shows at half the size."""
MARGIN = 0.6
"""Of a picture's text, how much of its surroundings is kept at each side, in heights of the text."""


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """The part of a drawn picture around its characters.

    `rgb` uint8 [h, w, 3]; `places` float32 [characters, 2], x and y of each centre; `classes` int64 [characters],
    -1 for points; `pitch`: pixels from one to the next.
    """

    rgb: np.ndarray
    places: np.ndarray
    classes: np.ndarray
    pitch: float


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """`pixels` uint8 [3, 224, 448]; per patch [8, 16]: the ids of its `positions` int64, the `classes` int64 of the
    character nearest to its centre and that one's `nearness` float32 (1: in the middle, 0: none within a patch), and
    the `points`' likewise."""

    pixels: np.ndarray
    positions: np.ndarray
    classes: np.ndarray
    nearness: np.ndarray
    points: np.ndarray


def draw_plate(rng: np.random.Generator, hardest: float = 1.0) -> Plate:
    """Around the characters of a drawn picture, disturbances up to `hardest`."""
    while True:
        easy = 1 - hardest * float(rng.random() ** 0.5)
        picture = draw_picture(rng, str(rng.choice(KINDS, p=ODDS)), easy)
        if picture.glyphs:
            break
    boxes = np.array([glyph[1:] for glyph in picture.glyphs])
    glyphs = [*picture.glyphs, *([picture.unit_place] if picture.unit_place else [])]
    low, high = (boxes[:, :2] - boxes[:, 2:] / 2).min(0), (boxes[:, :2] + boxes[:, 2:] / 2).max(0)
    spare = np.maximum(MARGIN * (high - low)[1], np.array((448, 224)) - (high - low)) / 1.6
    left, top = np.clip(low - spare, 0, None).astype(int)
    right, bottom = (high + spare).astype(int)
    rgb = np.ascontiguousarray(picture.rgb[top:bottom, left:right])
    places = np.array([glyph[1:3] for glyph in glyphs]) - (left, top)
    return Plate(rgb, places.astype(np.float32), _classes(glyphs), _pitch(picture.glyphs))


def _pitch(glyphs: list[Glyph]) -> float:
    centres = np.array([glyph[1:3] for glyph in glyphs if glyph[0] not in ".,:"])
    if len(centres) < 2:
        return 0.8 * glyphs[0][4]
    return float(np.median(np.hypot(*np.diff(centres, axis=0).T)))


def _classes(glyphs: list[Glyph]) -> np.ndarray:
    found = [-1 if c in ".," else NAMES.index(c) if c in NAMES else 1 for c, *_ in glyphs]
    return np.array(found, np.int64)


def cut_window(rng: np.random.Generator, plate: Plate) -> Window:
    """Another view of the plate."""
    size = np.array((COLUMNS, ROWS)) * PATCH
    scale = float(np.exp(rng.uniform(*np.log(PITCHES)))) / plate.pitch
    rgb, places = plate.rgb, plate.places
    if scale < 0.7:  # as the overview is made: averaged, not every second pixel
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        places, scale = places * (np.array(rgb.shape[1::-1]) / plate.rgb.shape[1::-1]), 1.0
    warp = _warp(rng, scale)
    low, high = (places @ warp.T).min(0), (places @ warp.T).max(0)
    room = size - (high - low)  # negative: it does not fit as a whole
    border = np.minimum(0.25 * size, np.abs(room) / 2)
    shift = rng.uniform(np.minimum(border, room - border), np.maximum(border, room - border)) - low
    affine = np.column_stack([warp, shift])
    rgb = cv2.warpAffine(rgb, affine, size.tolist(), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    classes, nearness, points = _targets(places @ warp.T + shift, plate.classes)
    pixels = np.ascontiguousarray(_relit(rng, rgb).transpose(2, 0, 1))
    return Window(pixels, _positions(rng), classes, nearness, points)


def _warp(rng: np.random.Generator, scale: float) -> np.ndarray:
    """[2, 2]: scaled, and a little turned, slanted and stretched."""
    angle, slant, stretch = rng.normal(0, 0.06), rng.normal(0, 0.08), np.exp(rng.normal(0, 0.1))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * turn @ np.array([[stretch, slant], [0, 1 / stretch]])


def _positions(rng: np.random.Generator) -> np.ndarray:
    """Of a full crop, or of one with padding, whose patches are spread over the whole table."""
    side = CROP // PATCH
    down, across = (side if rng.random() < 0.6 else int(rng.integers(least, side + 1)) for least in (ROWS, 4))
    top = int(rng.integers(0, down - ROWS + 1))
    rows, columns = np.arange(top, top + ROWS), np.minimum(np.arange(COLUMNS), across - 1)
    return (rows * side // down)[:, None] * side + columns * side // across


def _targets(places: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    named, nearness = np.zeros((ROWS, COLUMNS), np.int64), np.zeros((ROWS, COLUMNS), np.float32)
    points = np.zeros((ROWS, COLUMNS), np.float32)
    for (x, y), known in zip(places / PATCH - 0.5, classes, strict=True):
        for row in (int(np.floor(y)), int(np.floor(y)) + 1):
            for column in (int(np.floor(x)), int(np.floor(x)) + 1):
                near = (1 - abs(row - y)) * (1 - abs(column - x))
                if 0 <= row < ROWS and 0 <= column < COLUMNS:
                    if known < 0:
                        points[row, column] = max(points[row, column], near)
                    elif near > nearness[row, column]:
                        named[row, column], nearness[row, column] = known, near
    return named, nearness, points


def _relit(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    """Other colours, light, contrast, sharpness and grain."""
    if rng.random() < 0.3:
        rgb = rgb[:, :, rng.permutation(3)]
    ramp = np.linspace(0, 1, 256)
    curve = ramp ** np.exp(rng.normal(0, 0.25))
    middle = float(curve[int(rgb.mean())])  # stays where it is, so that dark pictures are not lost in black
    curve = (curve - middle) * np.exp(rng.normal(0, 0.25)) + middle
    curves = np.clip((curve[:, None] + rng.normal(0, 0.04, 3)) * 255, 0, 255)
    if rng.random() < 0.1:
        curves = 255 - curves
    rgb = cv2.LUT(np.ascontiguousarray(rgb), curves.astype(np.uint8)[:, None])
    draw = rng.random()
    if draw < 0.15:
        rgb = cv2.blur(rgb, (3, 3) if draw < 0.1 else (5, 5))
    if rng.random() < 0.3:
        grain = np.empty(rgb.shape[:2], np.int8)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(grain, 0, float(rng.uniform(1, 10)))
        rgb = cv2.add(rgb, cv2.merge([grain] * 3), dtype=cv2.CV_8U)
    return rgb
