"""How much of a model survived: by mode, by layer, by matrix. Goes into the bundle as fidelity.json."""

import json
from dataclasses import asdict, dataclass

import numpy as np

from edge.errors import CheckpointError
from export.calibration.predictions import Predictions

MAX_START = 0.25
"""Relative distance of what encoders and projectors make, or of the embedding. int8 makes 2 %, int4 10 %."""


@dataclass(frozen=True, slots=True)
class ModeFidelity:
    """Over `tokens` held-out tokens. `kl`: nats a token, of the checkpoint's prediction against the bundle's; `top1`:
    share of tokens that both find most likely; perplexities where the next token is known, else None; `same_tokens`:
    how many from the start of a sequence agree, the median; `drift`: relative distance of the hidden states before the
    first layer and after each."""

    tokens: int
    kl: float
    top1: float
    exact_perplexity: float | None
    perplexity: float | None
    same_tokens: float
    drift: list[float]

    @property
    def worst(self) -> str:
        """Where the distance grows most."""
        growth = np.diff([0.0, *self.drift])
        worst = int(growth.argmax())
        return f"layer {worst - 1}" if worst else "what comes before the first layer"


@dataclass(frozen=True, slots=True)
class Fidelity:
    """`errors`: of each matrix's output, relative."""

    recipe: str
    modes: dict[str, ModeFidelity]
    errors: dict[str, float]

    def check(self, max_kl: float) -> None:
        """Raises CheckpointError for the first mode that lost more than `max_kl`, or whose encoders are far off."""
        for name, mode in self.modes.items():
            if not mode.drift[0] <= MAX_START:
                raise CheckpointError(
                    f"in the mode {name}, what comes before the first layer would be {mode.drift[0]:.0%} off, "
                    f"{MAX_START:.0%} are allowed",
                    "export the encoders with --encoder-bits 32",
                )
            if not mode.kl <= max_kl:  # nan is too much as well
                raise CheckpointError(
                    f"the mode {name} would lose too much: KL {mode.kl:.3f} nats a token, {max_kl:g} are allowed; "
                    f"most is lost in {mode.worst}",
                    "choose --recipe faithful, or allow more with --max-kl",
                )

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
