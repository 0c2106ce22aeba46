"""A graph over a weights file that is complete already, so that its numbers may decide about the graph."""

from math import prod
from pathlib import Path

import numpy as np

from export.graph.builder import GraphBuilder
from export.weights.layout import Section


class FixedGraph(GraphBuilder):
    def __init__(self, name: str, weights: Path) -> None:
        super().__init__(name, weights.name)
        self._weights = weights

    def stored(self, section: Section) -> np.ndarray:
        """What the file has there."""
        return np.fromfile(self._weights, section.dtype, prod(section.shape), offset=section.offset).reshape(
            section.shape
        )
