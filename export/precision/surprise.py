"""How the prediction hangs on the last hidden state."""

from collections.abc import Iterable

import numpy as np


def surprise_back(
    states: np.ndarray, head: Iterable[np.ndarray], rng: np.random.Generator, divisor: float = 1.0
) -> np.ndarray:
    """Gradients of log p(y), y drawn from p itself, for normed states float32 [T, hidden]: the same shape.

    Their squares are what Fisher's information is made of: a small change d of a state changes the prediction by
    KL = ½ E[(d · gradient)²]. `head` yields its rows in order, float32 [n, hidden]; p = softmax(head · state /
    divisor). One pass: y is the largest of logits with Gumbel noise, sums are kept relative to a running maximum.
    """
    tokens = len(states)
    largest, total, best = np.full(tokens, -np.inf), np.zeros(tokens), np.full(tokens, -np.inf)
    expected, drawn = np.zeros_like(states), np.zeros_like(states)
    for rows in head:
        logits = (states @ rows.T) / np.float32(divisor)
        noisy = logits + rng.gumbel(size=logits.shape)
        first = noisy.argmax(axis=1)
        higher = noisy[np.arange(tokens), first] > best
        best = np.maximum(best, noisy.max(axis=1))
        drawn[higher] = rows[first[higher]]
        top = np.maximum(largest, logits.max(axis=1))
        shrink, weights = np.exp(largest - top), np.exp(logits - top[:, None]).astype(np.float32)
        expected = expected * shrink[:, None].astype(np.float32) + weights @ rows
        total, largest = total * shrink + weights.sum(axis=1), top
    return ((drawn - expected / total[:, None]) / divisor).astype(np.float32)
