"""A card: one flat thing to be photographed, with the place of every character on it."""

from dataclasses import dataclass, field

import cv2
import numpy as np

Box = tuple[str, float, float, float, float]  # character, left, top, right, bottom in pixels


@dataclass(frozen=True, slots=True)
class Card:
    """rgb uint8 [h, w, 3] and alpha uint8 [h, w], at about the size it will have in the picture.

    `glyphs` are the characters of the answer in reading order (none for spaces and for lamps); `unit_box` is where the
    unit word lies; `panel` is the colour of the surface the card belongs on, None for any; `contrast` is the distance
    of ink and ground in grey levels: a faint thing gets less noise and less darkness, or nobody could read it.
    """

    kind: str
    answer: str
    unit: str
    rgb: np.ndarray
    alpha: np.ndarray
    glyphs: list[Box] = field(default_factory=list)
    unit_box: Box | None = None
    panel: tuple[float, float, float] | None = None
    contrast: float = 100.0


def corners(box: Box) -> np.ndarray:
    """[4, 2], clockwise from the upper left."""
    _, left, top, right, bottom = box
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def paint(rgb: np.ndarray, mask: np.ndarray, colour: tuple[float, ...] | np.ndarray) -> None:
    """Lay a colour over rgb in place, as thick as mask (uint8 [h, w]) says."""
    above = np.empty_like(rgb)
    above[...] = np.clip(np.asarray(colour), 0, 255).astype(np.uint8)
    lay_over(rgb, above, mask)


def lay_over(rgb: np.ndarray, above: np.ndarray, mask: np.ndarray) -> None:
    """Lay a picture of the same size over rgb in place, as thick as mask (uint8 [h, w]) says."""
    weight = mask.astype(np.float32) * (1 / 255)
    rgb[...] = cv2.blendLinear(above, np.ascontiguousarray(rgb), weight, 1 - weight)
