"""What a matrix is multiplied by, summed over calibration tokens: all that calibrated methods know of the data."""

from dataclasses import dataclass

import numpy as np

PANEL = 1024
"""Columns per float32 product, so that the temporaries stay far below the [K, K] sums."""

ROWS = 512
"""Rows of a matrix at a time."""

DAMPING = 0.01
"""Share of the mean diagonal added to the diagonal, as in GPTQ (Frantar et al. 2022): more directions than tokens."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """How errors of earlier columns are made up for: column k is rounded as w_k + Σ_{j<k} (w_j − ŵ_j) m[j, k].

    X Xᵀ + λ = U D Uᵀ with U unit upper triangular and D diagonal; `m` is U as float32 [K, K]. This is GPTQ without
    an inverse (Chee et al. 2023, QuIP, show that their LDLQ rounds as GPTQ does).
    """

    m: np.ndarray


class Statistics:
    """Sums over tokens of the inputs x [K] that a matrix [N, K] reads, called X = [x …] below.

    Several matrices that read the same inputs share one object. No result depends on the number of tokens as such,
    so sums are kept, not means. Memory: 8 K² bytes, 4 K² more once `feedback` was asked for, 16 K² while it is made.
    """

    def __init__(self, columns: int) -> None:
        self.moments = np.zeros((columns, columns))
        """X Xᵀ, float64 [K, K], symmetric."""
        self._feedback: Feedback | None = None

    def add(self, seen: np.ndarray) -> None:
        """float32 [tokens, K]: what the matrix reads, behind quantised predecessors if there are any."""
        self._feedback = None
        for start in range(0, seen.shape[1], PANEL):
            stop = start + PANEL
            part = seen[:, start:stop].T @ seen[:, start:]
            self.moments[start:stop, start:] += part
            self.moments[stop:, start:stop] += part[:, PANEL:].T

    @property
    def importance(self) -> np.ndarray:
        """float64 [K]: the sum of x² per column."""
        return self.moments.diagonal()

    @property
    def feedback(self) -> Feedback:
        """Computed once for all matrices that read these inputs."""
        if self._feedback is None:
            factor = self._factor()
            factor /= factor.diagonal().copy()
            self._feedback = Feedback(np.ascontiguousarray(factor[::-1, ::-1], np.float32))
        return self._feedback

    @property
    def pivots(self) -> np.ndarray:
        """float64 [K]: D, what error feedback leaves of `importance` for each column to answer for."""
        return np.square(self._factor().diagonal()[::-1])

    def _factor(self) -> np.ndarray:
        """U √D turned by 180°: there the Cholesky factor of the matrix, turned likewise, is the upper one wanted.

        Damped in place, because a copy of the widest sums is half a gigabyte.
        """
        diagonal = np.einsum("kk->k", self.moments)
        undamped = diagonal.copy()
        diagonal += self._damping()
        try:
            return np.linalg.cholesky(self.moments[::-1, ::-1])
        finally:
            diagonal[:] = undamped

    def error(self, weights: np.ndarray, restored: np.ndarray) -> float:
        """‖(W − Ŵ) X‖ / ‖W X‖ for float matrices [n, K]; 0 if W X is 0."""
        output = self._energy(weights, None)
        return float(np.sqrt(self._energy(weights, restored) / output)) if output > 0 else 0.0

    def _damping(self) -> float:
        """λ: positive also where no input was ever other than 0."""
        mean = float(self.importance.mean())
        return DAMPING * mean if mean > 0 else 1.0

    def _energy(self, weights: np.ndarray, restored: np.ndarray | None) -> float:
        """‖(W − Ŵ) X‖², a slab of rows at a time; rounding must not make it negative."""
        total = 0.0
        for start in range(0, len(weights), ROWS):
            part = weights[start : start + ROWS].astype(np.float64)
            if restored is not None:
                part -= restored[start : start + ROWS]
            total += float(np.einsum("nk,nk->", part @ self.moments, part))
        return max(0.0, total)
