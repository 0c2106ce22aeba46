"""One random picture for the terminal's camera, with its answer and the place of every character."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.terminal.pictures.backdrop import backdrop
from benchmarks.terminal.pictures.camera import exposure, finger, glare, light
from benchmarks.terminal.pictures.card import Box, Card, corners
from benchmarks.terminal.pictures.display import draw_display
from benchmarks.terminal.pictures.lamps import draw_lamp
from benchmarks.terminal.pictures.printed import draw_label, draw_printed
from benchmarks.terminal.pictures.scene import MIN_VISIBLE, compose, place, project
from benchmarks.terminal.pictures.unrelated import draw_unrelated

KINDS = {"display": 0.60, "printed": 0.15, "label": 0.10, "lamp": 0.07, "unrelated": 0.08}
LONGEST = 896
Glyph = tuple[str, float, float, float, float]

_DRAW: dict[str, Callable[[np.random.Generator, float, tuple[int, int]], Card]] = {
    "display": draw_display,
    "printed": draw_printed,
    "label": draw_label,
    "lamp": draw_lamp,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """rgb uint8 [h, w, 3].

    kind: display, printed, label, lamp or unrelated. answer: the reading as shown ("66.00"), the label, the lit lamp's
    colour or "off", "" for unrelated pictures. unit: the unit word if it can be seen, else "", and where it is.
    glyphs: (character, x centre, y centre, width, height) in pixels of rgb, in reading order, for every character of
    the answer but spaces, the decimal point included; none for lamps.
    """

    rgb: np.ndarray
    kind: str
    answer: str
    unit: str
    glyphs: list[Glyph]
    unit_place: Glyph | None = None


def draw_picture(rng: np.random.Generator, kind: str | None = None, easy: float = 0.0) -> Picture:
    """Draw a picture of a kind (None: any, displays most often); `easy` 0 to 1 takes the disturbances away."""
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    severity = 1.0 - easy
    frame = random_frame(rng)
    card: Card | None
    if kind == "unrelated":
        rgb, card = draw_unrelated(rng, severity, frame)
    else:
        card = _DRAW[kind](rng, severity, frame)
        rgb = backdrop(rng, frame, severity, card.panel)
    inks: list[np.ndarray] = []
    unit, unit_place, pitch = "", None, 60.0
    if card is not None:
        homography, inks = place(rng, severity, card, frame)
        compose(rgb, card, homography)
        if card.unit_box is not None and _whole(homography, card.unit_box, frame):
            unit, unit_place = card.unit, _glyph(card.unit, project(homography, corners(card.unit_box)))
        tall = [float(np.ptp(ink[:, 1])) for ink, box in zip(inks, card.glyphs, strict=False) if box[0].isalnum()]
        pitch = 0.7 * min(tall, default=80.0)
    contrast = card.contrast if card is not None else 100.0
    keep = np.concatenate([np.concatenate(inks).min(0), np.concatenate(inks).max(0)]) if inks else None
    rgb = light(rng, rgb, severity, contrast)
    if rng.random() < 0.25 * severity:
        rgb = glare(rng, rgb, severity)
    if kind != "lamp" and rng.random() < 0.15 * severity:
        rgb = finger(rng, rgb, keep)
    rgb = exposure(rng, rgb, severity, pitch, contrast)
    glyphs = [_glyph(box[0], ink) for box, ink in zip(card.glyphs, inks, strict=True)] if card is not None else []
    return Picture(rgb, kind, card.answer if card is not None else "", unit, glyphs, unit_place)


def random_frame(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height: mostly 16:9 as from a phone, else 4:3, square, upright, 2:1 or odd."""
    draw = rng.random()
    if draw < 0.7:
        return 796, 448
    if draw < 0.8:
        return 597, 448
    if draw < 0.84:
        return 448, 448
    if draw < 0.88:
        return (448, 597) if rng.random() < 0.5 else (448, 796)
    if draw < 0.93:
        return 896, 448
    return int(rng.integers(320, LONGEST + 1)), int(rng.integers(280, 600))


def _glyph(character: str, ink: np.ndarray) -> Glyph:
    low, high = ink.min(0), ink.max(0)
    x, y = (low + high) / 2
    width, height = high - low
    return character, float(x), float(y), float(width), float(height)


def _whole(homography: np.ndarray, box: Box, frame: tuple[int, int]) -> bool:
    """Does enough of a word lie within the picture?"""
    outline = project(homography, corners(box))
    low, high = outline.min(0), outline.max(0)
    inside = np.clip(high, 0, frame) - np.clip(low, 0, frame)
    return bool(np.prod(inside) >= MIN_VISIBLE * np.prod(high - low))
