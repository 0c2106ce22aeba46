"""How far the last hidden states, through norm and head, predict the same: without ever holding the logits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

SLAB = 1024
"""Rows of the head at a time."""

Slabs = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
"""Yields rows of the head in order, float32 [n, hidden]: exact, and as the bundle holds them."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Of `tokens` rows: KL(exact || seen) in nats, log-probabilities of the true token (nan where it is not known),
    and whether both find the same token most likely."""

    divergence: np.ndarray
    exact_logprob: np.ndarray
    seen_logprob: np.ndarray
    same: np.ndarray

    @property
    def tokens(self) -> int:
        return len(self.divergence)


def compare(exact: np.ndarray, seen: np.ndarray, truth: np.ndarray, head: Slabs, divisor: float = 1.0) -> Predictions:
    """`exact` and `seen` are normed states float32 [T, hidden], `truth` int64 [T] the token that follows, or -1.

    Sums over the vocabulary are kept relative to a running maximum, so that one pass over the head is enough:
    KL = Σ p (z - z') - log Z + log Z' with p = exp(z) / Z.
    """
    rows = np.arange(len(truth))
    sums = _Sums(len(truth))
    start = 0
    for slab, kept in head():
        z, z2 = (exact @ slab.T / divisor).astype(np.float64), (seen @ kept.T / divisor).astype(np.float64)
        sums.add(z, z2, start)
        known = (truth >= start) & (truth < start + len(slab))
        sums.true[:, known] = z[rows[known], truth[known] - start], z2[rows[known], truth[known] - start]
        start += len(slab)
    log_z = sums.largest + np.log(sums.total)
    divergence = sums.apart / sums.total[0] - log_z[0] + log_z[1]
    return Predictions(divergence, sums.true[0] - log_z[0], sums.true[1] - log_z[1], sums.best[0] == sums.best[1])


class _Sums:
    """Over the vocabulary so far; the first axis is exact, seen."""

    def __init__(self, tokens: int) -> None:
        self.largest = np.full((2, tokens), -np.inf)
        self.total = np.zeros((2, tokens))
        self.apart = np.zeros(tokens)
        self.best = np.zeros((2, tokens), np.int64)
        self.true = np.full((2, tokens), np.nan)

    def add(self, z: np.ndarray, z2: np.ndarray, start: int) -> None:
        for kind, values in enumerate((z, z2)):
            top = values.max(axis=1)
            higher = top > self.largest[kind]
            self.best[kind] = np.where(higher, start + values.argmax(axis=1), self.best[kind])
            largest = np.maximum(top, self.largest[kind])
            shrink = np.exp(self.largest[kind] - largest)
            weights = np.exp(values - largest[:, None])
            self.total[kind] = self.total[kind] * shrink + weights.sum(axis=1)
            if kind == 0:
                self.apart = self.apart * shrink + (weights * (z - z2)).sum(axis=1)
            self.largest[kind] = largest
