"""The plot: a panel per measure, a bar per row and bundle, whiskers for the 95 % intervals."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from edge.evaluation.drawing import INK, Box, Drawing, Line, Words
from edge.evaluation.scores import ERRORS, MEASURES
from edge.evaluation.summary import Row

FILLS = ("#4f7cac", "#e8a33d", "#a3bccb", "#12263a")
WHISKER = "#b3261e"
COLUMNS, WIDTH, LEFT, RIGHT, HEAD, BAR, GAP, AXIS = 2, 520, 120, 70, 34, 15, 8, 30


class Bar(NamedTuple):
    value: float
    low: float
    high: float
    text: str


class Panel(NamedTuple):
    """`bars` by row name and bundle; `most` is the natural end of the axis, 0 where there is none."""

    title: str
    unit: str
    most: float
    bars: dict[str, dict[str, Bar]]


def plot(rows: Sequence[Row], title: str) -> Drawing:
    """Panels two by two, as high as they need to be."""
    found, bundles = panels(rows), list(dict.fromkeys(row.bundle for row in rows))
    top = 48 + 20 * len(bundles)
    heights = [_height(panel, bundles) for panel in found]
    lines = [max(heights[at : at + COLUMNS]) for at in range(0, len(found), COLUMNS)]
    drawing = Drawing(COLUMNS * WIDTH, top + sum(lines) + 10)
    drawing.shapes.append(Words(16, 24, title, size=15, bold=True))
    for number, bundle in enumerate(bundles):
        drawing.shapes.append(Box(16, 38 + 20 * number, 12, 12, FILLS[number % len(FILLS)]))
        drawing.shapes.append(Words(34, 48 + 20 * number, bundle, size=12))
    for number, panel in enumerate(found):
        line = number // COLUMNS
        _draw(drawing, panel, bundles, WIDTH * (number % COLUMNS), top + sum(lines[:line]))
    return drawing


def panels(rows: Sequence[Row]) -> list[Panel]:
    """Rates first, then times, speed and memory; empty panels are left out."""
    made = []
    for key, title in MEASURES.items():
        bars: dict[str, dict[str, Bar]] = {}
        for row in rows:
            if one := row.figures.get(key):
                value, low, high = (100 * part for part in (one.value, one.low, one.high))
                bars.setdefault(_label(row), {})[row.bundle] = Bar(value, low, high, f"{value:.1f} %")
        better = "lower" if key in ERRORS else "higher"
        made.append(Panel(f"{title} ({better} is better)", "%", 0 if key in ERRORS else 100, bars))
    plain = (
        ("Time to first token", "s", lambda row: row.ttft_s),
        ("Decoding", "tokens/s", lambda row: row.decode_tokens_per_s),
        ("Peak memory", "MB", lambda row: row.peak_rss_bytes / 1e6),
    )
    for title, unit, read in plain:
        bars = {}
        for row in rows:
            if value := read(row):
                bars.setdefault(_label(row), {})[row.bundle] = Bar(value, value, value, f"{value:,.3g}")
        made.append(Panel(title, unit, 0, bars))
    return [panel for panel in made if panel.bars]


def nice_step(top: float, ticks: int = 5) -> float:
    """The least of 1, 2, 5 × 10^n that covers `top` > 0 with at most `ticks` steps."""
    power = 10 ** math.floor(math.log10(top / ticks))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * ticks >= top * (1 - 1e-9))


def _label(row: Row) -> str:
    return row.name if row.kind == "mode" else f"· {row.name}"  # a group may be called like a mode


def _height(panel: Panel, bundles: Sequence[str]) -> int:
    return HEAD + len(panel.bars) * (BAR * len(bundles) + GAP) + AXIS


def _draw(drawing: Drawing, panel: Panel, bundles: Sequence[str], x0: float, y0: float) -> None:
    top = panel.most or max(bar.high for row in panel.bars.values() for bar in row.values()) or 1
    step = nice_step(top)
    ceiling = step * math.ceil(top / step - 1e-9)
    scale = (WIDTH - LEFT - RIGHT) / ceiling
    left, floor = x0 + LEFT, y0 + _height(panel, bundles) - AXIS
    shapes = drawing.shapes
    shapes.append(Words(left, y0 + 20, panel.title, size=13, bold=True))
    for tick in range(round(ceiling / step) + 1):
        x = left + tick * step * scale
        shapes.append(Line(x, y0 + HEAD - 6, x, floor, "#d5dbe0" if tick else INK))
        unit = f" {panel.unit}" if (tick + 1) * step > ceiling + step / 2 else ""
        shapes.append(Words(x, floor + 15, f"{tick * step:g}{unit}", "middle"))
    y = y0 + HEAD
    for name, row in panel.bars.items():
        middle = y + BAR * len(bundles) / 2 + 4
        shapes.append(Words(left - 8, middle, name if len(name) <= 18 else f"{name[:17]}…", "end"))
        for number, bundle in enumerate(bundles):
            if bar := row.get(bundle):
                fill, centre = FILLS[number % len(FILLS)], y + BAR / 2
                shapes.append(Box(left, y + 1, bar.value * scale, BAR - 2, fill, f"{bundle}, {name}: {bar.text}"))
                if bar.high > bar.low:
                    low, high = left + bar.low * scale, left + bar.high * scale
                    shapes.append(Line(low, centre, high, centre, WHISKER))
                    shapes += [Line(end, centre - 4, end, centre + 4, WHISKER) for end in (low, high)]
                end = left + max(bar.value, bar.high) * scale
                shapes.append(Words(end + 5, centre + 4, bar.text, size=10))
            y += BAR
        y += GAP
