"""The plot of what is lost: KL on a logarithmic axis against size, and against decoding speed where it was measured.

A mode is drawn once, as its first line in the report: neither its second graph for prompts nor its int8 KV cache."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from edge.evaluation.drawing import Box, Drawing, Line, Words
from edge.evaluation.fidelity import Measured
from edge.evaluation.plot import FILLS, nice_step

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 360, 64, 90, 40, 50
DOT, GRID = 8, "#d5dbe0"
LEAST = 1e-5
"""Nats; what is nearer is drawn there."""


class Axis(NamedTuple):
    """`values` along x, of each bundle."""

    title: str
    values: list[float]


def plot(rows: Sequence[Measured], title: str) -> Drawing:
    """A panel for each axis; a dot for each bundle and mode, the bundle's name at its highest one."""
    axes = [Axis("MB", [row.bundle.bytes / 1e6 for row in rows])]
    if all(row.tokens_per_s for row in rows):
        axes.append(Axis("decode tokens/s", [row.tokens_per_s or 0.0 for row in rows]))
    modes = list(dict.fromkeys(mode for row in rows for mode in row.modes if "." not in mode))
    top = 48 + 20 * len(modes)
    drawing = Drawing(WIDTH * len(axes), top + HEIGHT)
    drawing.shapes.append(Words(16, 24, title, size=15, bold=True))
    for number, mode in enumerate(modes):
        drawing.shapes.append(Box(16, 38 + 20 * number, 12, 12, FILLS[number % len(FILLS)]))
        drawing.shapes.append(Words(34, 48 + 20 * number, mode, size=12))
    for number, axis in enumerate(axes):
        _panel(drawing, rows, modes, axis, WIDTH * number, top)
    return drawing


def _panel(drawing: Drawing, rows: Sequence[Measured], modes: Sequence[str], axis: Axis, x0: float, y0: float) -> None:
    shapes, found = drawing.shapes, [_log(row.modes[mode].kl) for row in rows for mode in modes if mode in row.modes]
    low, high = math.floor(min(found)), max(math.ceil(max(found)), math.floor(min(found)) + 1)
    step = nice_step(max(axis.values))
    right = step * math.ceil(max(axis.values) / step - 1e-9)
    left, floor = x0 + LEFT, y0 + HEIGHT - BOTTOM
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    shapes.append(Words(left, y0 + 20, f"KL in nats a token, by {axis.title}", size=13, bold=True))
    for power in range(low, high + 1):
        y = floor - tall * (power - low) / (high - low)
        shapes.append(Line(left, y, left + wide, y, GRID))
        shapes.append(Words(left - 8, y + 4, f"{10.0**power:g}", "end"))
    for tick in range(round(right / step) + 1):
        x = left + wide * tick * step / right
        shapes.append(Line(x, floor - tall, x, floor, GRID))
        shapes.append(Words(x, floor + 16, f"{tick * step:g}", "middle"))
    shapes.append(Words(left + wide / 2, floor + 36, axis.title, "middle"))
    for row, value in zip(rows, axis.values, strict=True):
        x, heights = left + wide * value / right, []
        for number, mode in enumerate(modes):
            if mode not in row.modes:
                continue
            kl = row.modes[mode].kl
            heights.append(floor - tall * (_log(kl) - low) / (high - low))
            fill, told = FILLS[number % len(FILLS)], f"{row.name}, {mode}: KL {kl:.4f}"
            shapes.append(Box(x - DOT / 2, heights[-1] - DOT / 2, DOT, DOT, fill, told))
        shapes.append(Words(x + DOT, min(heights, default=floor) + 4, row.name, size=10))


def _log(kl: float) -> float:
    return math.log10(max(kl, LEAST))
