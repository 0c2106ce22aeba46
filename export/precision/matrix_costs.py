"""What rounding one matrix, or its input, changes in the prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.calibration.rounding import as_the_kernel_reads
from quant.formats import BlockFormat
from quant.packing import dequantise
from quant.rtn import quantise_rows
from quant.statistics import Statistics

TOKENS = 2048
"""Of each mode, in whole sequences, that costs are measured with."""
ROWS = 2048
"""Of a matrix at a time."""
SEGMENT = 128
"""Tokens whose errors are taken together, to see how far they add up: those of values do, attention averages them."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Nats a token: of weights rounded to the nearest, and of their input rounded to int8. `kept`: the share of the
    weights' error that GPTQ leaves."""

    weights: float
    inputs: float
    kept: float = 1.0

    @property
    def nats(self) -> float:
        return self.weights * self.kept + self.inputs


Costs = dict[str, dict[BlockFormat, Cost]]
"""By matrix (layers.3.down) and format."""


@dataclass(slots=True)
class AddingUp:
    """How far errors of neighbouring tokens add up: squares of their sums against sums of their squares."""

    single: float = 0.0
    together: float = 0.0

    @property
    def share(self) -> float:
        return self.together / self.single if self.single else 1.0

    def add(self, change: np.ndarray) -> None:
        self.single += float(np.square(change).sum())
        self.together += float(np.square(np.add.reduceat(change, np.arange(0, len(change), SEGMENT))).sum())


def matrix_costs(
    matrix: np.ndarray, x: np.ndarray, grad: np.ndarray, choices: Sequence[BlockFormat], adding: AddingUp
) -> dict[BlockFormat, Cost]:
    """`matrix` float32 [N, K] reads x [T, K]; `grad` [T, N] is the gradient of log p(y) for its output, y drawn from
    the prediction p. A change δ of the output costs ½ E[(grad · δ)²], to second order."""
    to_x, kept = grad @ matrix, _kept(x)
    found = {}
    for fmt in choices:
        change = np.zeros(len(x))
        for start in range(0, len(matrix), ROWS):
            rows = matrix[start : start + ROWS]
            error = dequantise(quantise_rows(rows, fmt), fmt, rows.shape[1]) - rows
            change += np.einsum("tk,tk->t", grad[:, start : start + ROWS] @ error, x)
        rounding = np.einsum("tk,tk->t", to_x, as_the_kernel_reads(x, fmt) - x).astype(np.float64)
        found[fmt] = Cost(float(np.square(change).mean() / 2), float(np.square(rounding).mean() / 2), kept)
        adding.add(change)
    return found


def _kept(x: np.ndarray) -> float:
    """tr D / tr H for H = X Xᵀ = U D Uᵀ (Chee et al. 2023, QuIP)."""
    statistics = Statistics(x.shape[1])
    statistics.add(x)
    size = float(statistics.importance.sum())
    return min(1.0, float(statistics.pivots.sum()) / size) if size else 1.0
