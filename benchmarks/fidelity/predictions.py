"""How far the predictions of two models are apart, token by token, whatever computed them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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


def logprobs(logits: Logits, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """float64 [n - 1, vocab] of every piece: what is predicted of all its tokens but the first."""
    for piece in pieces:
        rows = logits(piece)[:-1]
        shifted = rows.astype(np.float64) - rows.max(axis=1, keepdims=True)
        yield shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def judge(pieces: list[np.ndarray], reference: Iterable[np.ndarray], candidate: Iterable[np.ndarray]) -> Fidelity:
    """Both give log-probabilities [n - 1, vocab] of every piece."""
    true, losses, divergences, same = [], [], [], []
    for piece, p, q in zip(pieces, reference, candidate, strict=True):
        following = np.arange(len(q)), piece[1:]
        true.append(-p[following])
        losses.append(-q[following])
        divergences.append((np.exp(p) * (p - q)).sum(axis=1))
        same.append(p.argmax(axis=1) == q.argmax(axis=1))
    return Fidelity(
        sum(map(len, same)),
        float(np.exp(np.concatenate(true).mean())),
        float(np.exp(np.concatenate(losses).mean())),
        float(np.concatenate(divergences).mean()),
        float(np.concatenate(same).mean()),
    )
