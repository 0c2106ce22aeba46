"""Two decoders of the same model read the same tokens; how far apart are their predictions?"""

from dataclasses import dataclass

import numpy as np

from edge.runtime.decoder import Decoder

WINDOW = 512


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


def compare(reference: Decoder, candidate: Decoder, ids: list[int], window: int = WINDOW) -> Fidelity:
    """Independent windows of `window` tokens; the first token of each is given, all others are predicted."""
    losses, reference_losses, divergences, agreements = [], [], [], []
    for start in range(0, len(ids) - 1, window):
        chunk = np.array(ids[start : start + window], np.int64)
        if len(chunk) < 2:
            break
        p, q = _log_softmax(_logits(reference, chunk)), _log_softmax(_logits(candidate, chunk))
        following = np.arange(len(chunk) - 1), chunk[1:]
        reference_losses.append(-p[:-1][following])
        losses.append(-q[:-1][following])
        divergences.append((np.exp(p[:-1]) * (p[:-1] - q[:-1])).sum(axis=1))
        agreements.append(p[:-1].argmax(axis=1) == q[:-1].argmax(axis=1))
    all_losses = np.concatenate(losses)
    return Fidelity(
        len(all_losses),
        float(np.exp(np.concatenate(reference_losses).mean())),
        float(np.exp(all_losses.mean())),
        float(np.concatenate(divergences).mean()),
        float(np.concatenate(agreements).mean()),
    )


def _logits(decoder: Decoder, ids: np.ndarray) -> np.ndarray:
    decoder.rewind(0)
    decoder.reserve(len(ids), False)
    logits = decoder.prefill(ids, rows=np.arange(len(ids)))
    decoder.rewind(0)  # nobody's conversation is in the cache now
    return logits


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
