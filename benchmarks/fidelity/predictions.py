"""What a model predicts for every token of a text, and how far another one is from it: shared by all runtimes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WINDOW = 512

Logits = Callable[[np.ndarray], np.ndarray]
"""Token ids int64 [n], read from an empty context, to logits float32 [n, vocab]."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Over `tokens` predictions; KL(reference || candidate) in nats per token, perplexities of the true next token."""

    tokens: int
    reference_perplexity: float
    perplexity: float
    kl_divergence: float
    top1_agreement: float

    @property
    def perplexity_ratio(self) -> float:
        return self.perplexity / self.reference_perplexity


def windows(ids: list[int], window: int = WINDOW) -> list[np.ndarray]:
    """Independent pieces; the first token of each is given, all others are predicted."""
    pieces = [np.array(ids[start : start + window], np.int64) for start in range(0, len(ids) - 1, window)]
    return [piece for piece in pieces if len(piece) > 1]


def write_reference(path: Path, logits: Logits, ids: list[int]) -> None:
    """Log-probabilities float32 [predictions, vocab], for `judge`."""
    rows = np.concatenate([_log_softmax(logits(piece))[:-1] for piece in windows(ids)])
    np.save(path, rows.astype(np.float32))


def judge(reference: np.ndarray, logits: Logits, ids: list[int]) -> Fidelity:
    """`reference` is what `write_reference` wrote for the same `ids`."""
    start, losses, true, divergences, same = 0, [], [], [], []
    for piece in windows(ids):
        p, q = reference[start : start + len(piece) - 1].astype(np.float64), _log_softmax(logits(piece))[:-1]
        following = np.arange(len(q)), piece[1:]
        true.append(-p[following])
        losses.append(-q[following])
        divergences.append((np.exp(p) * (p - q)).sum(axis=1))
        same.append(p.argmax(axis=1) == q.argmax(axis=1))
        start += len(q)
    return Fidelity(
        start,
        float(np.exp(np.concatenate(true).mean())),
        float(np.exp(np.concatenate(losses).mean())),
        float(np.concatenate(divergences).mean()),
        float(np.concatenate(same).mean()),
    )


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
