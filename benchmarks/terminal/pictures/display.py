"""Seven-segment displays: an LCD behind glass as on a fuel pump, other LCDs, and bright LED or VFD ones."""

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.terminal.pictures.card import Box, Card, paint
from benchmarks.terminal.pictures.glass import lcd_glass, led_glass
from benchmarks.terminal.pictures.glyphs import (
    SegmentStyle,
    character_polygons,
    fill,
    pump_style,
    random_style,
    segment_polygons,
)
from benchmarks.terminal.pictures.lettering import Typeface, lettering, random_typeface

OVER = 3  # the digits are drawn three times as large and averaged down
UNITS = ("LITRES", "kPa", "bar", "°C", "kg", "RPM", "V", "A", "%", "mm", "kW", "Hz", "L", "m³/h", "psi", "g", "s", "mA")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies, in cell heights from the upper left corner of the first cell."""

    reading: str
    style: SegmentStyle
    pitch: float
    places: tuple[float, ...]  # x of every character: cell's left edge, or the centre of a point or colon
    blanks: int  # empty cells before the reading
    margins: tuple[float, float, float, float]  # left, top, right, bottom to the edge of the glass

    @property
    def field(self) -> float:
        return self.places_end + self.margins[0] + self.margins[2]

    @property
    def places_end(self) -> float:
        cells = self.blanks + sum(character not in ".:" for character in self.reading)
        return cells * self.pitch - (self.pitch - self.style.width) + self.style.slant

    @property
    def tall(self) -> float:
        return 1 + self.margins[1] + self.margins[3]


def random_reading(rng: np.random.Generator, pump: bool) -> str:
    """A number as a display shows it: "66.00", "7", "-12.5", now and then a time "12:45"."""
    digits = "0123456789"

    def some(count: int) -> str:
        return "".join(rng.choice(list(digits), count))

    if pump:
        whole = str(rng.integers(1, 10)) + some(int(rng.choice([0, 1, 2, 3], p=[0.07, 0.47, 0.42, 0.04])))
        kind = rng.random()
        if kind < 0.35:
            return whole + ".00"
        return whole + "." + ("0" + some(1) if kind < 0.55 else some(2) if kind < 0.92 else some(1))
    if rng.random() < 0.03:
        return f"{rng.integers(0, 24):02d}:{rng.integers(0, 60):02d}"
    count = int(rng.choice([1, 2, 3, 4, 5, 6, 7], p=[0.06, 0.14, 0.25, 0.25, 0.16, 0.09, 0.05]))
    number = some(count)
    decimals = int(rng.integers(1, min(count, 4))) if count > 1 and rng.random() < 0.6 else 0
    keep_zeros = rng.random() < 0.12
    if not keep_zeros:
        number = str(int(number[: count - decimals])) + number[count - decimals :]
    text = f"{number[: len(number) - decimals]}.{number[len(number) - decimals :]}" if decimals else number
    return "-" + text if count < 6 and rng.random() < 0.1 else text


def lay_out(rng: np.random.Generator, reading: str, style: SegmentStyle, pump: bool) -> Layout:
    cells = sum(character not in ".:" for character in reading)
    pitch = (style.width + style.slant) * 0.3 + style.width + rng.uniform(0.0, 0.2)
    pitch = max(pitch, style.width + 1.9 * style.stroke)
    blanks = max(0, 6 - cells) if pump and rng.random() < 0.7 else int(rng.choice([0, 0, 0, 1, 2, 3]))
    places, cell = [], blanks
    for character in reading:
        if character in ".:":
            places.append(cell * pitch - (pitch - style.width) / 2)
        else:
            places.append(cell * pitch)
            cell += 1
    low, high = (0.16, 0.42) if pump else (0.1, 0.6)
    left, top, right, bottom = (float(rng.uniform(low, high)) for _ in range(4))
    if pump:
        left = float(rng.choice([rng.uniform(0.2, 0.5), rng.uniform(0.5, 1.2)]))
        if reading[-2] == "." and rng.random() < 0.7:  # the second decimal is lost in the dark
            right += pitch
    return Layout(reading, style, float(pitch), tuple(map(float, places)), blanks, (left, top, right, bottom))


def draw_digits(layout: Layout, scale: float, strengths: list[float], ghost: float) -> tuple[np.ndarray, list[Box]]:
    """Mask uint8 of the glass (0 clear, 255 full ink) with `scale` pixels a cell height, and the characters' boxes.

    strengths (0..1) say how dark each character is, `ghost` how much the unlit segments show.
    """
    width, height = round(layout.field * scale), round(layout.tall * scale)
    large = np.zeros((height * OVER, width * OVER), np.uint8)
    corner = np.array([layout.margins[0], layout.margins[1]])
    if ghost > 0:
        cells = layout.blanks + sum(character not in ".:" for character in layout.reading)
        for cell in range(cells):
            for polygon in segment_polygons(layout.style).values():
                fill(large, (polygon + corner + (cell * layout.pitch, 0)) * scale * OVER, round(255 * ghost))
    boxes = []
    for character, x, strength in zip(layout.reading, layout.places, strengths, strict=True):
        polygons = [polygon + corner + (x, 0) for polygon in character_polygons(layout.style, character)]
        for polygon in polygons:
            fill(large, polygon * scale * OVER - 0.5, round(255 * strength))
        ink = np.concatenate(polygons) * scale
        boxes.append((character, *ink.min(0).tolist(), *ink.max(0).tolist()))
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA), boxes


def draw_display(rng: np.random.Generator, severity: float, frame: tuple[int, int]) -> Card:
    """A display for a picture of `frame` (width, height) pixels."""
    sort = str(rng.choice(["pump", "lcd", "led"], p=[0.6, 0.18, 0.22]))
    pump, lcd = sort == "pump", sort != "led"
    style = pump_style(rng) if pump and rng.random() < 0.75 else random_style(rng, lcd)
    layout = lay_out(rng, random_reading(rng, pump), style, pump)
    share = rng.uniform(0.36, 0.75) if rng.random() < 0.6 else rng.uniform(0.75, 1.15)
    scale = share * frame[0] / layout.field
    scale = float(np.clip(scale, 30 / layout.pitch, min(0.66 * frame[1], 150 / layout.pitch)))
    strengths = _strengths(rng, layout.reading, severity)
    ghost = float(rng.uniform(0.02, 0.12)) * severity if rng.random() < 0.35 else 0.0
    mask, boxes = draw_digits(layout, scale, strengths, ghost)
    make = lcd_glass if lcd else led_glass
    glass, contrast = make(rng, mask, severity, scale)
    return _housing(rng, glass, boxes, layout.reading, scale, pump, contrast)


def _strengths(rng: np.random.Generator, reading: str, severity: float) -> list[float]:
    """All alike, but at times the last characters lie in the dark or a segment driver is weak."""
    strengths = [1.0] * len(reading)
    if rng.random() < 0.25 * severity:
        for index in range(len(reading) - int(rng.integers(1, 3)), len(reading)):
            strengths[index] = float(rng.uniform(0.6, 1.0))
    return strengths


def _housing(
    rng: np.random.Generator,
    glass: np.ndarray,
    boxes: list[Box],
    reading: str,
    scale: float,
    pump: bool,
    contrast: float,
) -> Card:
    """Glass, rim and unit word on one card."""
    height, width = glass.shape[:2]
    unit = ("LITRES" if rng.random() < 0.8 else "") if pump else str(rng.choice(UNITS)) if rng.random() < 0.65 else ""
    rim = round(scale * (rng.uniform(0.01, 0.04) if pump else rng.uniform(0.0, 0.3)))
    panel = _enamel(rng) if pump or rng.random() < 0.2 else None
    word, word_box, below = None, None, pump or rng.random() < 0.6
    if unit:
        face = _bold(rng) if pump and rng.random() < 0.7 else random_typeface(rng)
        size = scale * rng.uniform(0.35, 0.62) * (1.0 if pump else rng.uniform(0.6, 1.2))
        word, _ = lettering(unit, size, face)
        space = round(scale * rng.uniform(0.05, 0.5)) if below else 0
        word = np.pad(word[word.shape[0] // 4 :], ((space, 0), (0, 0)))
    pad = max(2, rim + 2)
    word_height, word_width = word.shape if word is not None else (0, 0)
    card_width = max(width, word_width if below else 0) + 2 * pad + (0 if below else word_width)
    card_height = height + 2 * pad + (word_height if below else 0)
    rgb = np.empty((card_height, card_width, 3), np.uint8)
    alpha = np.zeros((card_height, card_width), np.uint8)
    left = pad + (max(0, (word_width - width) // 2) if below else 0)
    ink = _rim_colour(rng, pump)
    rgb[...] = ink
    alpha[pad - rim : pad + height + rim, left - rim : left + width + rim] = 255
    rgb[pad : pad + height, left : left + width] = glass
    if word is not None:
        room = card_width - word_width
        x = int(np.clip(left + (width - word_width) * rng.uniform(0.25, 0.6), 0, room)) if below else left + width + pad
        y = pad + height if below else min(card_height - word_height, pad + int(height * rng.uniform(0, 0.6)))
        y = max(0, y)
        word = word[: card_height - y, : card_width - x]
        place, over = (
            rgb[y : y + word.shape[0], x : x + word.shape[1]],
            alpha[y : y + word.shape[0], x : x + word.shape[1]],
        )
        dark = panel is not None or rng.random() < 0.6
        tone = rng.uniform(10, 60) if dark else rng.uniform(190, 250)
        paint(place, np.where(over > 0, word, 255).astype(np.uint8), (tone, tone, tone))
        np.maximum(over, word, out=over)
        x0, y0, w, h = cv2.boundingRect(word)
        word_box = (unit, float(x + x0), float(y + y0), float(x + x0 + w), float(y + y0 + h))
        if panel is None and dark:
            panel = _enamel(rng) * np.float64(rng.uniform(0.6, 1.0))
        elif panel is None:
            panel = rng.uniform(15, 90, 3)
    moved = [(c, x0 + left, y0 + pad, x1 + left, y1 + pad) for c, x0, y0, x1, y1 in boxes]
    tone3 = None if panel is None else (float(panel[0]), float(panel[1]), float(panel[2]))
    return Card("display", reading, unit, rgb, alpha, moved, word_box, tone3, contrast)


def _bold(rng: np.random.Generator) -> Typeface:
    """Upright and heavy, as enamelled on pumps."""
    name = "uni" if rng.random() < 0.5 else "sans"
    weight, stretch = int(rng.integers(600, 900)), float(rng.uniform(0.9, 1.2))
    return Typeface(name, weight=weight, stretch=stretch, spacing=float(rng.uniform(0.05, 0.1)))


def _enamel(rng: np.random.Generator) -> np.ndarray:
    """White to cream, as phones see it in the shade."""
    return rng.uniform(150, 225) + rng.uniform(-8, 8, 3)


def _rim_colour(rng: np.random.Generator, pump: bool) -> np.ndarray:
    if pump:  # chipped paint around the cut-out
        return np.array([1.0, 0.92, 0.75]) * rng.uniform(40, 200)
    return rng.uniform(10, 90) + rng.uniform(-10, 10, 3) if rng.random() < 0.7 else rng.uniform(20, 230, 3)
