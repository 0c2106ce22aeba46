"""Loss and accuracy of every stage over its minutes, drawn from the histories in the work directory."""

import json
from itertools import pairwise
from pathlib import Path

from edge.evaluation.drawing import Drawing, Line, Words

STAGES = {
    "text": ("text base", {"right": "answer tokens right"}),
    "speech": ("speech: encoder, projector, LoRA", {"exact": "answers exact"}),
    "real": ("speech, with recordings of people", {"exact": "answers exact"}),
    "tower": ("vision tower", {"characters": "characters right"}),
    "vision": ("vision: projector, LoRA", {"exact": "answers exact"}),
    "both": ("picture and spoken question", {"exact": "answers exact"}),
}
"""Title of each stage's panel, and which shares (0 to 1) it shows besides the loss."""

COLOURS = ("#c0392b", "#1f6fb2", "#2e8b57")
WIDTH, PANEL, LEFT, TOP, HEIGHT = 760, 150, 60, 26, 96


def draw_curves(work: Path) -> Drawing:
    """One panel per stage that has a history: the loss from 0 to its first value, shares from 0 to 1."""
    histories = {name: work / f"{name}.jsonl" for name in STAGES}
    lines = {name: [json.loads(row) for row in file.open()] for name, file in histories.items() if file.exists()}
    drawing = Drawing(WIDTH, PANEL * len(lines))
    for number, (name, history) in enumerate(lines.items()):
        _panel(drawing, number * PANEL, name, history)
    return drawing


def _panel(drawing: Drawing, y: float, name: str, history: list[dict[str, float]]) -> None:
    title, shares = STAGES[name]
    top, bottom, right = y + TOP, y + TOP + HEIGHT, WIDTH - 20
    minutes = [row["seconds"] / 60 for row in history]
    drawing.shapes += [Line(LEFT, bottom, right, bottom), Line(LEFT, top, LEFT, bottom)]
    drawing.shapes.append(Words(LEFT, y + 16, title, bold=True))
    drawing.shapes.append(Words(right, bottom + 16, f"{minutes[-1]:.0f} minutes", "end"))
    most = max(row["loss"] for row in history)
    curves = [([row["loss"] / most for row in history], f"loss, of {most:.1f}")]
    curves += [
        ([row.get(key, 0.0) for row in history], f"{label} {history[-1].get(key, 0.0):.0%}")
        for key, label in shares.items()
    ]
    for number, ((values, label), colour) in enumerate(zip(curves, COLOURS, strict=False)):
        points = [
            (LEFT + minute / minutes[-1] * (right - LEFT), bottom - value * HEIGHT)
            for minute, value in zip(minutes, _smooth(values), strict=True)
        ]
        drawing.shapes += [Line(*a, *b, colour) for a, b in pairwise(points)]
        x = LEFT + 300 + number * 150
        drawing.shapes += [Line(x - 22, y + 12, x - 6, y + 12, colour), Words(x, y + 16, label)]


def _smooth(values: list[float]) -> list[float]:
    """Mean of up to five neighbours: a batch's loss depends on how long its answers are."""
    return [sum(values[max(0, i - 4) : i + 1]) / len(values[max(0, i - 4) : i + 1]) for i in range(len(values))]
