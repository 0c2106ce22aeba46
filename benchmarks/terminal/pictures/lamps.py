"""Status lamps: one lit, or off, alone or in a row of dark ones, with or without a caption."""

import cv2
import numpy as np

from benchmarks.terminal.pictures.card import Card, paint
from benchmarks.terminal.pictures.lettering import lettering, random_typeface

COLOURS = {"red": (255, 30, 20), "green": (30, 235, 60), "yellow": (255, 205, 20), "blue": (30, 80, 255)}
CAPTIONS = ("RUN", "STOP", "FAULT", "POWER", "READY", "ALARM", "PUMP", "AUTO", "MOTOR", "LEVEL")


def draw_lamp(rng: np.random.Generator, severity: float, frame: tuple[int, int]) -> Card:
    """answer: the colour of the lit lamp, or "off"."""
    answer = str(rng.choice([*COLOURS, "off"]))
    count = int(rng.choice([1, 2, 3, 4], p=[0.6, 0.15, 0.15, 0.1]))
    radius = rng.uniform(0.06, 0.22) * frame[1] / count**0.5
    step = radius * rng.uniform(2.6, 3.6)
    upright = rng.random() < 0.5
    names = [str(name) for name in rng.permutation(list(COLOURS))[:count]]
    if answer != "off" and answer not in names:
        names[int(rng.integers(count))] = answer
    cells = (1, count) if not upright else (count, 1)
    caption_room = radius * 1.4 if rng.random() < 0.5 else 0.0
    height, width = (round(cells[0] * (step + caption_room)), round(cells[1] * step))
    plate = rng.uniform(10, 240) + rng.uniform(-12, 12, 3)
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[...] = np.clip(plate, 0, 255)
    ink = np.zeros((height, width), np.uint8)
    for index, name in enumerate(names):
        row, column = (index, 0) if upright else (0, index)
        centre = ((column + 0.5) * step, (row + 0.5) * (step + caption_room) - caption_room / 2)
        _lamp(rng, rgb, centre, radius, COLOURS[name], lit=name == answer, severity=severity)
        if caption_room:
            word, _ = lettering(str(rng.choice(CAPTIONS)), max(9, radius * 0.4), random_typeface(rng))
            word = word[word.shape[0] // 4 :]
            if word.shape[1] > step:
                word = cv2.resize(word, (int(step), word.shape[0]), interpolation=cv2.INTER_AREA)
            x, y = int(centre[0] - word.shape[1] / 2), int(centre[1] + radius * 1.15)
            place = ink[max(0, y) : y + word.shape[0], max(0, x) : x + word.shape[1]]
            np.maximum(place, word[: place.shape[0], : place.shape[1]], out=place)
    tone = 15.0 if plate.mean() > 110 else 235.0
    paint(rgb, ink, (tone, tone, tone))
    alpha = np.full((height, width), 255, np.uint8)
    return Card("lamp", answer, "", rgb, alpha)


def _lamp(
    rng: np.random.Generator,
    rgb: np.ndarray,
    centre: tuple[float, float],
    radius: float,
    colour: tuple[int, int, int],
    lit: bool,
    severity: float,
) -> None:
    full = np.array(colour, float)
    place = (int(centre[0] * 16), int(centre[1] * 16))

    def disc(share: float, tone: np.ndarray, shift: float = 0.0) -> None:
        spot = (int(place[0] - shift * radius * 16), int(place[1] - shift * radius * 16))
        cv2.circle(rgb, spot, int(radius * share * 16), np.clip(tone, 0, 255).tolist(), -1, cv2.LINE_AA, 4)

    disc(1.12, np.full(3, rng.uniform(40, 190)))
    if not lit:
        grey = np.full(3, rng.uniform(30, 110))
        disc(1.0, full * rng.uniform(0.12, 0.26) + grey * rng.uniform(0.1, 0.4))
        disc(0.6, full * 0.24 + grey * 0.4, shift=0.12)
    else:
        strength = 1 - 0.25 * severity * rng.random()
        disc(1.0, full * strength * 0.85)
        for share, white in ((0.75, 0.1), (0.5, 0.3), (0.3, rng.uniform(0.3, 0.9))):
            disc(share, (full + (255 - full) * white) * strength)
    if rng.random() < 0.7:  # the lens mirrors the ceiling
        spot = (int(centre[0] - 0.35 * radius), int(centre[1] - 0.4 * radius))
        cv2.ellipse(
            rgb,
            spot,
            (max(1, int(0.2 * radius)), max(1, int(0.1 * radius))),
            -30,
            0,
            360,
            (225, 228, 230),
            -1,
            cv2.LINE_AA,
        )
