"""Pictures in the terminal."""

import io

import numpy as np
import pytest
from rich.console import Console

from edge.cli.picture_art import thumbnail


def drawn(rgb: np.ndarray, colours: str | None = "truecolor") -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=bool(colours), color_system=colours, width=200, legacy_windows=False)
    console.print(thumbnail(rgb, 40, 20), end="")
    return output.getvalue()


@pytest.mark.parametrize(
    ("height", "width", "columns", "rows"),
    [(400, 800, 40, 10), (800, 400, 20, 20), (400, 400, 40, 20), (1, 4000, 40, 1), (2, 2, 40, 20)],
)
def test_a_picture_keeps_its_proportions_and_fits(height: int, width: int, columns: int, rows: int) -> None:
    lines = thumbnail(np.zeros((height, width, 3), np.uint8), 40, 20).plain.split("\n")
    assert (len(lines), {len(line) for line in lines}) == (rows, {columns})


def test_each_character_shows_two_pixels() -> None:
    red_over_blue = np.array([[[255, 0, 0]], [[0, 0, 255]]], np.uint8)
    assert "\x1b[38;2;255;0;0;48;2;0;0;255m▀" in drawn(np.tile(red_over_blue, (20, 40, 1)))


def test_terminals_with_fewer_colours_get_what_they_can_show() -> None:
    assert "38;2;" not in drawn(np.full((4, 4, 3), 77, np.uint8), "256")
    assert "\x1b" not in drawn(np.full((4, 4, 3), 77, np.uint8), None)
