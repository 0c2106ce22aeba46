"""Surfaces to photograph: enamel, metal, plastic, walls, with seams, screws and stains."""

from functools import cache

import cv2
import numpy as np

TILE = 1100


@cache
def noise_tile(sort: str) -> np.ndarray:
    """uint8 [TILE, TILE, 3] around 128, drawn once: "fine" sensor grain, "coarse" grain, "brushed" metal, "cloud"."""
    rng = np.random.default_rng(["fine", "coarse", "brushed", "cloud"].index(sort))
    grain: np.ndarray = rng.standard_normal((TILE, TILE, 3), np.float32)
    if sort == "coarse":
        grain = cv2.GaussianBlur(grain, (0, 0), 1.6)
    elif sort == "brushed":
        grain = cv2.blur(grain[..., :1], (61, 1))[..., None].repeat(3, 2)
    elif sort == "cloud":
        layers = [cv2.GaussianBlur(grain[..., 0], (0, 0), size) * size for size in (2, 6, 18, 50)]
        grain = np.sum(layers, 0)[..., None].repeat(3, 2)
    return np.clip(128 + 32 * grain / grain.std(), 0, 255).astype(np.uint8)


def add_noise(rng: np.random.Generator, rgb: np.ndarray, sort: str, sigma: float) -> np.ndarray:
    """rgb plus a random cut of a tile, of the standard deviation `sigma` in grey levels."""
    height, width = rgb.shape[:2]
    x, y = rng.integers(0, TILE - width), rng.integers(0, TILE - height)
    cut = noise_tile(sort)[y : y + height, x : x + width]
    return cv2.addWeighted(rgb, 1.0, cut, sigma / 32, -128 * sigma / 32)


def backdrop(
    rng: np.random.Generator, size: tuple[int, int], severity: float, tone: tuple[float, float, float] | None
) -> np.ndarray:
    """rgb uint8 [h, w, 3] for a size (width, height); `tone` is the surface's colour, None for any."""
    busy = tone is None and rng.random() < 0.5 * severity
    base = np.array(tone) if tone is not None else rng.uniform(15, 235) + rng.uniform(-30, 30, 3) * (rng.random() < 0.6)
    grid = base * rng.uniform(1 - 0.12 * severity, 1 + 0.12 * severity, (3, 4, 1))
    grid = grid + rng.uniform(-6, 6, (3, 4, 3)) * severity
    rgb = cv2.resize(np.clip(grid, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
    sort = str(rng.choice(["brushed", "cloud", "coarse"]))
    rgb = add_noise(rng, rgb, sort, float(rng.uniform(0, 2 if tone is not None else 9)) * severity)
    if busy:
        clutter(rng, rgb, int(rng.integers(2, 12)))
    if rng.random() < 0.35 * severity:
        stain(rng, rgb)
    return rgb


def clutter(rng: np.random.Generator, rgb: np.ndarray, count: int) -> None:
    """Boxes, seams, pipes and screws."""
    height, width = rgb.shape[:2]
    for _ in range(count):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        colour = np.clip(rng.uniform(0, 255) + rng.uniform(-60, 60, 3), 0, 255).tolist()
        sort = rng.integers(4)
        if sort == 0:
            size = rng.uniform(0.05, 0.5, 2) * (width, height)
            cv2.rectangle(rgb, (x, y), (int(x + size[0]), int(y + size[1])), colour, int(rng.choice([-1, 1, 3, 6])))
        elif sort == 1:
            end = (int(rng.integers(0, width)), int(rng.integers(0, height)))
            cv2.line(rgb, (x, y), end, colour, int(rng.integers(1, 12)), cv2.LINE_AA)
        elif sort == 2:
            radius = int(rng.uniform(0.01, 0.05) * height) + 2
            cv2.circle(rgb, (x, y), radius, colour, -1, cv2.LINE_AA)
            cv2.line(rgb, (x - radius, y), (x + radius, y + 2), (30, 30, 30), 1, cv2.LINE_AA)
        else:
            axes = rng.uniform(0.02, 0.3, 2) * height
            cv2.ellipse(
                rgb, (x, y), (int(axes[0]), int(axes[1])), float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA
            )


def stain(rng: np.random.Generator, rgb: np.ndarray) -> None:
    """Rust and dirt: a spray of brownish specks."""
    height, width = rgb.shape[:2]
    centre = rng.uniform(0, 1, 2) * (width, height)
    colour = (rgb.reshape(-1, 3)[0] * np.array((0.85, 0.72, 0.5)) * rng.uniform(0.6, 1)).tolist()
    for x, y in (centre + rng.normal(0, rng.uniform(0.01, 0.06) * width, (int(rng.integers(3, 40)), 2))).astype(int):
        cv2.circle(rgb, (int(x), int(y)), int(rng.integers(1, 4)), colour, -1, cv2.LINE_AA)
