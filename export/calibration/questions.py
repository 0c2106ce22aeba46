"""Recordings and pictures with questions about them, for the decoder graphs that have an adapter."""

from pathlib import Path
from typing import TYPE_CHECKING

from edge.evaluation.labels import LABELS, Item, read_labels
from export.calibration.texts import DEFAULT_MEDIA

if TYPE_CHECKING:
    from export.plan import ExportPlan


def questions(plan: "ExportPlan") -> dict[str, list[Item]]:
    """By decoder graph; pictures with speech share that of pictures. What a folder of the user's has nothing for comes
    from the default set."""
    if plan.media is None:
        return {}
    given = plan.options.calibration
    found = _by_graph(DEFAULT_MEDIA)
    if given and (given / LABELS).exists():
        found |= _by_graph(given)
    return dict(sorted(found.items()))


def _by_graph(folder: Path) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in read_labels(folder):
        if item.images or item.audio:
            found.setdefault("vision" if item.images else "speech", []).append(item)
    return found
