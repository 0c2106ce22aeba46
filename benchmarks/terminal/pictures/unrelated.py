"""Pictures without anything to read: what a terminal's camera sees between two displays."""

import cv2
import numpy as np

from benchmarks.terminal.pictures.backdrop import add_noise, clutter
from benchmarks.terminal.pictures.card import Card
from benchmarks.terminal.pictures.glass import lcd_glass, led_glass

SORTS = ("blank", "gradient", "texture", "noise", "shapes", "landscape", "machine", "dead display")


def draw_unrelated(rng: np.random.Generator, severity: float, frame: tuple[int, int]) -> tuple[np.ndarray, Card | None]:
    """A background rgb uint8 [h, w, 3], and a switched-off display to lay on it or None."""
    width, height = frame
    sort = str(rng.choice(SORTS, p=[0.1, 0.1, 0.1, 0.08, 0.15, 0.12, 0.13, 0.22]))
    colour = rng.uniform(0, 255, 3)
    rgb: np.ndarray = np.empty((height, width, 3), np.uint8)
    rgb[...] = colour if rng.random() < 0.5 else np.full(3, colour[0])
    if sort == "gradient":
        grid = rng.uniform(0, 255, (int(rng.integers(2, 6)), int(rng.integers(2, 6)), 3)).astype(np.uint8)
        rgb = cv2.resize(grid, frame, interpolation=cv2.INTER_CUBIC)
    elif sort == "texture":
        rgb = add_noise(rng, rgb, str(rng.choice(["brushed", "cloud", "coarse"])), float(rng.uniform(10, 60)))
    elif sort == "noise":
        rgb = add_noise(rng, rgb, str(rng.choice(["fine", "coarse"])), float(rng.uniform(20, 90)))
    elif sort == "shapes":
        clutter(rng, rgb, int(rng.integers(3, 40)))
    elif sort == "landscape":
        _landscape(rng, rgb)
    elif sort in ("machine", "dead display"):
        rgb[...] = rng.uniform(20, 230) + rng.uniform(-10, 10, 3).clip(-20, 20)
        clutter(rng, rgb, int(rng.integers(0, 10)))
        _vents(rng, rgb)
        if sort == "dead display":
            return rgb, _dead_display(rng, severity, frame)
    return rgb, None


def _landscape(rng: np.random.Generator, rgb: np.ndarray) -> None:
    """Sky, ground, hills or houses, a sun."""
    height, width = rgb.shape[:2]
    horizon = int(height * rng.uniform(0.3, 0.8))
    rgb[:horizon] = np.clip(np.array((140, 180, 230)) + rng.uniform(-60, 25), 0, 255)
    rgb[horizon:] = rng.uniform(20, 150, 3)
    for _ in range(int(rng.integers(1, 6))):
        x, wide, high = rng.uniform(0, width), rng.uniform(0.05, 0.3) * width, rng.uniform(0.05, 0.4) * height
        tone = rng.uniform(20, 220, 3).tolist()
        if rng.random() < 0.5:
            hill = np.array([(x - wide, horizon), (x, horizon - high), (x + wide, horizon)])
            cv2.fillPoly(rgb, [hill.astype(np.int32)], tone, cv2.LINE_AA)
        else:
            cv2.rectangle(rgb, (int(x), int(horizon - high)), (int(x + wide), horizon), tone, -1)
    if rng.random() < 0.5:
        cv2.circle(
            rgb, (int(rng.integers(width)), int(horizon * 0.4)), int(height * 0.07), (255, 240, 190), -1, cv2.LINE_AA
        )


def _vents(rng: np.random.Generator, rgb: np.ndarray) -> None:
    """Rows of slots and buttons."""
    height, width = rgb.shape[:2]
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(0, 0.8, 2) * (width, height)
        wide, step = rng.uniform(0.05, 0.3) * width, rng.uniform(0.02, 0.06) * height
        tone = rng.uniform(0, 90) + np.zeros(3)
        for row in range(int(rng.integers(2, 9))):
            start, end = (int(x), int(y + row * step)), (int(x + wide), int(y + row * step + step / 2))
            cv2.rectangle(rgb, start, end, tone.tolist(), -1)


def _dead_display(rng: np.random.Generator, severity: float, frame: tuple[int, int]) -> Card:
    wide = rng.uniform(0.25, 0.9) * frame[0]
    tall = min(wide * rng.uniform(0.2, 0.5), 0.8 * frame[1])
    nothing = np.zeros((int(tall), int(wide)), np.uint8)
    make = lcd_glass if rng.random() < 0.6 else led_glass
    rgb, _ = make(rng, nothing, severity, tall * 0.6)
    return Card("unrelated", "", "", rgb, np.full(nothing.shape, 255, np.uint8))
