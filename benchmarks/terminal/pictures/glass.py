"""What lies behind and on a display's window: the lit or dark background, reflections, scratches."""

import cv2
import numpy as np

from benchmarks.terminal.pictures.card import paint

FAINTEST = 12.0  # grey levels between a segment and the glass


def lcd_glass(rng: np.random.Generator, ink: np.ndarray, severity: float, scale: float) -> tuple[np.ndarray, float]:
    """Dark segments on grey or greenish glass, uint8 [h, w, 3], and how many grey levels darker than it they are.

    `ink` uint8 [h, w] says where they lie, `scale` is their height in pixels.
    """
    height, width = ink.shape
    gloomy = rng.random() < 0.45  # no light behind and a shaded window: both are near black
    low, high = (FAINTEST + 4, 40) if gloomy else (30, 150)
    contrast = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    contrast = max(contrast, (1 - severity) * 90)
    dark = float(rng.uniform(4, 18 if gloomy else 36))
    tint = np.array([1.0, 1.0, 1.0]) + rng.choice([0.02, 0.06, 0.14]) * rng.uniform(-1, 1, 3)
    if rng.random() < 0.4:
        tint = tint * (0.92, 1.03, rng.choice([0.85, 0.97]))
    swing = 0.45 * severity
    grid = (dark + contrast * rng.uniform(1 - swing, 1 + swing, (3, 4))).astype(np.float32)
    if rng.random() < 0.4 * severity:  # one side in the dark
        grid *= np.linspace(1, rng.uniform(0.4, 0.8), 4, dtype=np.float32)[:: int(rng.choice([-1, 1]))]
    grid = np.maximum(grid, dark + FAINTEST)
    level = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
    rgb = np.clip(level[..., None] * tint.astype(np.float32), 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        _recess(rng, rgb, ink, scale, dark)
    if rng.random() < 0.5:  # the segments' shadow on the reflector behind
        shift = np.array(
            [[1, 0, rng.uniform(-0.05, 0.05) * scale], [0, 1, rng.uniform(0.01, 0.06) * scale]], np.float32
        )
        shadow = cv2.warpAffine(ink, shift, (width, height))
        paint(rgb, cv2.LUT(shadow, (np.arange(256) * rng.uniform(0.05, 0.3)).astype(np.uint8)), (dark, dark, dark))
    paint(rgb, ink, np.clip(dark * tint, 0, 255))
    rgb = reflect(rng, rgb, severity, contrast)
    if rng.random() < 0.6 * severity:
        scratch(rng, rgb, contrast)
    return rgb, contrast


def _recess(rng: np.random.Generator, rgb: np.ndarray, ink: np.ndarray, scale: float, dark: float) -> None:
    """The dark strip between the LCD and the edge of the cut-out."""
    height, width = ink.shape
    columns, rows = np.flatnonzero(ink.max(0)), np.flatnonzero(ink.max(1))
    if columns.size == 0:  # a display that shows nothing
        columns, rows = np.array([0.1, 0.9]) * width, np.array([0.2, 0.8]) * height
    tone = np.array((0.9, 1.0, 0.95)) * max(3.0, dark * rng.uniform(0.6, 1.4))
    right = int(columns[-1] + scale * rng.uniform(0.08, 0.3))
    bottom = int(rows[-1] + scale * rng.uniform(0.06, 0.2))
    top = int(rows[0] - scale * rng.uniform(0.06, 0.3))
    left = int(columns[0] - scale * rng.uniform(0.1, 0.6))
    for place, odds in (((slice(None), slice(right, None)), 0.8), ((slice(bottom, None), slice(None)), 0.7)):
        if rng.random() < odds:
            rgb[place] = tone
    if top > 0 and rng.random() < 0.3:
        rgb[:top] = tone
    if left > 0 and rng.random() < 0.15:
        rgb[:, :left] = tone
    if right + 6 < width and rng.random() < 0.4:  # an edge catching light, a screw
        x = int(rng.integers(right, width))
        cv2.line(rgb, (x, 0), (x, height), (tone * 2 + 12).tolist(), 1)
        if rng.random() < 0.5:
            centre = (min(width - 1, x + int(0.05 * scale)), int(rng.uniform(0.3, 0.7) * height))
            cv2.ellipse(rgb, centre, (int(0.05 * scale) + 1, int(0.09 * scale) + 1), 0, 0, 360, (160, 170, 175), -1)


def reflect(rng: np.random.Generator, rgb: np.ndarray, severity: float, contrast: float) -> np.ndarray:
    """Coloured blobs of the surroundings mirrored by the window, added to what is behind it."""
    height, width = rgb.shape[:2]
    if rng.random() > 0.85 * severity:
        return rgb
    small = np.zeros((height // 2 + 1, width // 2 + 1, 3), np.uint8)
    for _ in range(int(rng.integers(1, 6))):
        strength = min(150.0, contrast * rng.uniform(0.2, 1.3) + rng.uniform(0, 12)) * severity
        hue = np.array(_HUES[int(rng.integers(len(_HUES)))]) * strength
        centre = rng.uniform(0, 1, 2) * (small.shape[1], small.shape[0])
        reach = np.array([rng.uniform(0.1, 0.7), rng.uniform(0.2, 0.9)]) * small.shape[0]
        if rng.random() < 0.3:  # a window, a cap: straight edges
            points = centre + rng.uniform(-1, 1, (4, 2)) * reach
            points = cv2.convexHull(points.astype(np.float32))[:, 0]
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
            points = centre + reach * rng.uniform(0.5, 1, (9, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(small, [points.astype(np.int32)], np.clip(hue, 0, 255).tolist())
    if rng.random() < 0.25:  # a broad veil of sky light
        veil = float(rng.uniform(4, 40)) * severity
        small = cv2.addWeighted(small, 1.0, small, 0.0, veil)
    sigma = float(rng.choice([0.7, 1.5, 3, 6]))
    small = cv2.GaussianBlur(small, (0, 0), sigma)
    return cv2.add(rgb, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


_HUES = (
    (0.35, 0.5, 0.1),
    (0.9, 0.25, 0.15),
    (0.3, 0.7, 0.2),
    (1, 1, 1),
    (0.8, 0.9, 1),
    (0.6, 0.6, 0.6),
    (0.9, 0.8, 0.3),
)


def scratch(rng: np.random.Generator, rgb: np.ndarray, contrast: float) -> None:
    """Fine bright lines, specks and dust."""
    height, width = rgb.shape[:2]
    light = rgb.mean((0, 1)) + rng.uniform(0.1, 0.6) * contrast
    colour = np.clip(light, 0, 255).tolist()
    for _ in range(int(rng.integers(0, 9))):
        start = rng.uniform(0, 1, 2) * (width, height)
        steps = np.cumsum(rng.normal(0, height / 25, (4, 2)) + rng.normal(0, height / 20, 2), 0)
        cv2.polylines(rgb, [(start + steps).astype(np.int32)], False, colour, 1, cv2.LINE_AA)
    for x, y in rng.integers(0, (width, height), (int(rng.integers(0, 25)), 2)):
        rgb[y, x] = colour


def led_glass(rng: np.random.Generator, ink: np.ndarray, severity: float, scale: float) -> tuple[np.ndarray, float]:
    """Bright segments with a halo on black, as lcd_glass."""
    height, width = ink.shape
    lamp = np.array(_LAMPS[int(rng.integers(len(_LAMPS)))]) * rng.uniform(150, 255)
    lamp = lamp * (1 - rng.uniform(0, 0.5) * severity)
    back = rng.uniform(2, 30 + 30 * severity) + rng.uniform(-4, 4, 3)
    if rng.random() < 0.3:  # a tinted filter before the digits
        back = back + lamp * 0.08
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[...] = np.clip(back, 0, 255)
    halo = cv2.GaussianBlur(cv2.resize(ink, (width // 4 + 1, height // 4 + 1)), (0, 0), max(0.6, 0.035 * scale))
    glow = cv2.LUT(cv2.resize(halo, (width, height)), (np.arange(256) * rng.uniform(0.05, 0.5)).astype(np.uint8))
    paint(rgb, glow, np.clip(lamp, 0, 255))
    core = np.clip(lamp + rng.choice([0, 0.5]) * (255 - lamp), 0, 255)  # overexposed cores turn white
    paint(rgb, ink, core)
    rgb = reflect(rng, rgb, severity * 0.7, 60)
    if rng.random() < 0.3 * severity:
        scratch(rng, rgb, 60)
    return rgb, float(lamp.max() * 0.6)


_LAMPS = (
    (1, 0.08, 0.05),
    (1, 0.12, 0.02),
    (0.1, 1, 0.15),
    (0.15, 0.4, 1),
    (1, 0.62, 0.05),
    (0.3, 1, 0.85),
    (1, 1, 0.95),
)
