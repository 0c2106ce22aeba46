"""A picture in a terminal: half blocks, each two pixels one above the other."""

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from rich.text import Text

_UPPER_HALF = "▀"


def thumbnail(rgb: np.ndarray, columns: int, rows: int) -> "Text":
    """`rgb` (uint8 [height, width, 3]) as large as fits into `columns` x `rows` characters, in its own proportions."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    height, width = rgb.shape[:2]
    scale = min(columns / width, 2 * rows / height)
    # a character is about twice as high as wide, so that half of one is a square
    size = max(1, round(width * scale)), 2 * max(1, round(height * scale / 2))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    text = Text(no_wrap=True)
    for row in range(0, len(small), 2):
        if row:
            text.append("\n")
        for upper, lower in zip(small[row].tolist(), small[row + 1].tolist(), strict=True):
            text.append(_UPPER_HALF, Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
    return text
