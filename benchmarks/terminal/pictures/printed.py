"""Printed numbers with units, and part labels, on stickers or straight on the panel."""

import numpy as np

from benchmarks.terminal.pictures.card import Box, Card, paint
from benchmarks.terminal.pictures.display import UNITS, random_reading
from benchmarks.terminal.pictures.lettering import Typeface, lettering, random_typeface

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


def random_label(rng: np.random.Generator) -> str:
    """A part label: "PX-2047", "LOT 83A1", "M12-450"."""

    def letters(count: int) -> str:
        return "".join(rng.choice(list(LETTERS), count))

    def digits(count: int) -> str:
        return "".join(rng.choice(list("0123456789"), count))

    form = int(rng.integers(6))
    if form == 0:
        return f"{letters(2)}-{digits(int(rng.integers(3, 6)))}"
    if form == 1:
        return f"LOT {digits(2)}{letters(1)}{digits(int(rng.integers(1, 4)))}"
    if form == 2:
        return f"{letters(1)}{digits(2)}-{digits(3)}"
    if form == 3:
        return f"{rng.choice(['REV', 'SN', 'ID', 'NO', 'TYPE'])} {digits(int(rng.integers(2, 5)))}"
    if form == 4:
        return f"{letters(3)}{digits(int(rng.integers(2, 5)))}"
    return f"{letters(1)}-{digits(int(rng.integers(2, 5)))}{letters(1)}"


def draw_printed(rng: np.random.Generator, severity: float, frame: tuple[int, int]) -> Card:
    """A number, most often with its unit beside or below."""
    unit = str(rng.choice(UNITS)) if rng.random() < 0.7 else ""
    return _line(rng, severity, frame, "printed", random_reading(rng, pump=False), unit)


def draw_label(rng: np.random.Generator, severity: float, frame: tuple[int, int]) -> Card:
    return _line(rng, severity, frame, "label", random_label(rng), "")


def _line(rng: np.random.Generator, severity: float, frame: tuple[int, int], kind: str, answer: str, unit: str) -> Card:
    face = random_typeface(rng, matrix=True)
    share = rng.uniform(0.3, 0.95) * frame[0]
    height = float(np.clip(share / (0.85 * face.stretch * max(2, len(answer))), 38 / face.stretch, 0.4 * frame[1]))
    ink, boxes, unit_box = _ink(rng, answer, unit, height, face)
    paper, tone = _colours(rng, rng.random() < 0.72, rng.uniform(1 - 0.75 * severity, 1))
    rgb = np.empty((*ink.shape, 3), np.uint8)
    sticker = rng.random() < 0.6
    if sticker:
        rgb[...] = paper
        paint(rgb, ink, tone)
        if rng.random() < 0.4:  # a printed border
            edge = max(1, round(height * 0.04))
            for band in (rgb[:edge], rgb[-edge:], rgb[:, :edge], rgb[:, -edge:]):
                band[...] = tone
    else:
        rgb[...] = tone
    alpha = np.full(ink.shape, 255, np.uint8) if sticker else ink
    panel = None if sticker else (float(paper[0]), float(paper[1]), float(paper[2]))
    return Card(kind, answer, unit, rgb, alpha, boxes, unit_box, panel, abs(float(np.mean(tone - paper))))


def _ink(
    rng: np.random.Generator, answer: str, unit: str, height: float, face: Typeface
) -> tuple[np.ndarray, list[Box], Box | None]:
    """Mask uint8 [h, w] of the answer with its unit beside or below, the characters' boxes and the unit's."""
    text, boxes = lettering(answer, height, face)
    pad = round(height * rng.uniform(0.05, 0.5))
    boxes = [(c, left + pad, top + pad, right + pad, bottom + pad) for c, left, top, right, bottom in boxes]
    if not unit:
        return np.pad(text, pad), boxes, None
    other = face if rng.random() < 0.6 and face.name != "matrix" else random_typeface(rng)
    word, word_boxes = lettering(unit, height * rng.uniform(0.5, 1.0), other)
    if rng.random() < 0.7:
        size = (max(text.shape[0], word.shape[0]), text.shape[1] + word.shape[1])
        x, y = text.shape[1], size[0] - word.shape[0]
    else:
        size = (text.shape[0] + word.shape[0] // 2, max(text.shape[1], word.shape[1]))
        x, y = 0, size[0] - word.shape[0]
    ink = np.zeros(size, np.uint8)
    ink[: text.shape[0], : text.shape[1]] = text
    place = ink[y : y + word.shape[0], x : x + word.shape[1]]
    np.maximum(place, word, out=place)
    return np.pad(ink, pad), boxes, _around(unit, word_boxes, x + pad, y + pad)


def _colours(rng: np.random.Generator, dark_ink: bool, contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """Paper and ink, at least some forty grey levels apart."""
    paper = (rng.uniform(140, 250) if dark_ink else rng.uniform(10, 110)) + rng.uniform(-40, 40, 3) * (
        rng.random() < 0.5
    )
    paper = np.clip(paper, 5, 250)
    end = rng.uniform(0, 40) if dark_ink else rng.uniform(225, 255)
    away = (end - paper.mean()) * contrast
    away = np.sign(away) * max(45.0, abs(away))
    tint = rng.uniform(-25, 25, 3) if rng.random() < 0.4 else np.zeros(3)
    return paper, np.clip(paper.mean() + away + tint + (paper - paper.mean()) * 0.3, 0, 255)


def _around(unit: str, boxes: list[Box], x: int, y: int) -> Box:
    _, left, top, right, bottom = zip(*boxes, strict=True)
    return unit, min(left) + x, min(top) + y, max(right) + x, max(bottom) + y
