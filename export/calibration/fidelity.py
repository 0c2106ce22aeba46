"""How much of a model survived: by mode, by layer, by matrix. Goes into the bundle as fidelity.json."""

import json
from dataclasses import asdict, dataclass

import numpy as np

from export.calibration.predictions import Predictions

FILE = "fidelity.json"


@dataclass(frozen=True, slots=True)
class ModeFidelity:
    """Over `tokens` held-out tokens. `kl`: nats a token, of the checkpoint's prediction against the bundle's; `top1`:
    share of tokens that both find most likely; perplexities where the next token is known, else None; `same_tokens`:
    how many from the start of a sequence agree, the median; `drift`: relative distance of the hidden states after each
    layer."""

    tokens: int
    kl: float
    top1: float
    exact_perplexity: float | None
    perplexity: float | None
    same_tokens: float
    drift: list[float]

    @property
    def worst_layer(self) -> int:
        """Where the distance grows most."""
        return int(np.argmax(np.diff([0.0, *self.drift])))


@dataclass(frozen=True, slots=True)
class Fidelity:
    """`errors`: of each matrix's output, relative."""

    recipe: str
    modes: dict[str, ModeFidelity]
    errors: dict[str, float]

    def to_json(self) -> bytes:
        return json.dumps({"schema": 1} | asdict(self), indent=1).encode()


def mode_fidelity(predictions: Predictions, lengths: list[int], drift: list[float]) -> ModeFidelity:
    """`lengths` of the sequences that the predictions are of."""
    known = ~np.isnan(predictions.exact_logprob)
    starts = np.cumsum([0, *lengths[:-1]])
    agreed = [
        int(np.argmin(np.append(predictions.same[start : start + length], False)))
        for start, length in zip(starts, lengths, strict=True)
    ]
    return ModeFidelity(
        predictions.tokens,
        float(predictions.divergence.mean()),
        float(predictions.same.mean()),
        float(np.exp(-predictions.exact_logprob[known].mean())) if known.any() else None,
        float(np.exp(-predictions.seen_logprob[known].mean())) if known.any() else None,
        float(np.median(agreed)),
        drift,
    )
