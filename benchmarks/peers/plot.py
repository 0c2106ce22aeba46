"""The plot: one panel per question, bars per engine with min–max whiskers, as SVG without any library."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from benchmarks.peers.summary import Row, three_digits

FILLS = ("#12263a", "#4f7cac", "#a3bccb", "#e6edf0", "#ffffff")
"""From dark to light, so that a grey print keeps them apart."""

INK = "#12263a"
COLUMNS, WIDTH, HEIGHT, HEAD, LEFT, TOP, BOTTOM = 2, 500, 270, 60, 56, 34, 30

PANELS = (
    ("Prefill (higher is better)", "prefill@"),
    ("Decode (higher is better)", "decode@"),
    ("Time to first token", "ttft@"),
    ("Start", ("load", "ready")),
    ("Memory and disk", ("peak_rss", "disk", "export_rss")),
    ("Export and on-device preparation", ("export", "prepare")),
)
LABELS = {
    "load": "load",
    "ready": "load to first token",
    "peak_rss": "peak RSS",
    "disk": "files on disk",
    "export_rss": "export peak RSS",
    "export": "export",
    "prepare": "tune",
}


def nice_step(top: float, ticks: int = 5) -> float:
    """The least of 1, 2, 5 × 10^n that covers `top` with at most `ticks` steps."""
    power = 10 ** math.floor(math.log10(top / ticks))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * ticks >= top * (1 - 1e-9))


def text(x: float, y: float, content: str, anchor: str = "middle", size: int = 11, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{extra}>{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str = INK) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def panel(title: str, rows: Sequence[Row], engines: Sequence[str], x0: float, y0: float) -> list[str]:
    """One chart: a cluster of bars per row, one <g class="engine"> per engine across all clusters."""
    top = max(spread.high for row in rows for spread in row.engines.values())
    step = nice_step(top)
    ceiling = step * math.ceil(top / step - 1e-9)
    floor_y, height = y0 + HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM

    def y(value: float) -> float:
        return floor_y - height * value / ceiling

    left, right = x0 + LEFT, x0 + WIDTH - 12
    unit = rows[0].metric.unit
    middle = (y0 + TOP + floor_y) / 2
    parts = [
        text(left, y0 + 18, title, "start", 14, ' font-weight="bold"'),
        text(x0 + 14, middle, unit, extra=f' transform="rotate(-90 {x0 + 14:.1f} {middle:.1f})"'),
    ]
    for tick in range(round(ceiling / step) + 1):
        parts.append(line(left, y(tick * step), right, y(tick * step), "#d5dbe0" if tick else INK))
        parts.append(text(left - 6, y(tick * step) + 4, f"{tick * step:g}", "end"))
    cluster = (right - left) / len(rows)
    bar = cluster * 0.82 / len(engines)
    for index, row in enumerate(rows):
        label = LABELS.get(row.metric.key) or f"{row.metric.key.partition('@')[2]}-token prompt"
        parts.append(text(left + cluster * (index + 0.5), floor_y + 18, label))
    for number, engine in enumerate(engines):
        parts.append(f'<g class="engine" data-engine={quoteattr(engine)}>')
        for index, row in enumerate(rows):
            spread = row.engines.get(engine)
            if spread is None:
                continue
            x = left + cluster * (index + 0.09) + bar * number
            centre = x + bar / 2
            parts.append(
                f'<rect class="bar" x="{x:.1f}" y="{y(spread.median):.1f}" width="{bar * 0.9:.1f}" '
                f'height="{floor_y - y(spread.median):.1f}" fill="{FILLS[number % len(FILLS)]}" stroke="{INK}"/>'
            )
            if spread.high > spread.low:
                parts.append(line(centre, y(spread.low), centre, y(spread.high), "#c1440e"))
                parts += [line(centre - 3, y(end), centre + 3, y(end), "#c1440e") for end in (spread.low, spread.high)]
            parts.append(text(centre, y(spread.high) - 4, three_digits(spread.median), size=9))
        parts.append("</g>")
    return parts


def draw(rows: Sequence[Row], engines: Sequence[str]) -> str:
    """The whole figure. Engines without a single value are left out; so are empty panels."""
    present = [name for name in engines if any(name in row.engines for row in rows)]
    charts = []
    for title, keys in PANELS:
        if isinstance(keys, str):
            chosen = [row for row in rows if row.metric.key.startswith(keys)]
        else:
            chosen = [row for row in rows if row.metric.key in keys]
        if chosen:
            charts.append((title, chosen))
    total_height = HEAD + HEIGHT * math.ceil(len(charts) / COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * COLUMNS} {total_height}" '
        f'width="{WIDTH * COLUMNS}" height="{total_height}" font-family="sans-serif" fill="{INK}">',
        f'<rect width="{WIDTH * COLUMNS}" height="{total_height}" fill="white"/>',
    ]
    x = float(LEFT)
    for number, engine in enumerate(present):
        parts.append(
            f'<rect x="{x:.1f}" y="12" width="14" height="14" fill="{FILLS[number % len(FILLS)]}" stroke="{INK}"/>'
        )
        parts.append(text(x + 20, 24, engine, "start", 13))
        x += 44 + 8 * len(engine)
    parts.append(text(LEFT, 44, "bars are medians, whiskers the least and greatest round", "start"))
    for index, (title, chosen) in enumerate(charts):
        parts += panel(title, chosen, present, WIDTH * (index % COLUMNS), HEAD + HEIGHT * (index // COLUMNS))
    return "\n".join([*parts, "</svg>"]) + "\n"
