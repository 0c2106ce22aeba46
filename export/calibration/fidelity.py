"""How much of a model survived: by mode, by layer, by matrix. Goes into the bundle as fidelity.json."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from edge import __version__
from edge.errors import CheckpointError
from export.calibration.predictions import Predictions

MAX_START = 0.25
"""Relative distance of what encoders and projectors make, or of the embedding. int8 makes 2 %, int4 10 %."""

MAX_ERROR = 0.7
"""Relative error of what one matrix makes. int4 makes 12 %, all zeros make 100 %, noise more."""

WORST = 3

INT8_CACHE = ".int8-kv"
"""Suffix of a mode in which every key and value comes from an int8 KV cache, as it does for generated tokens."""


@dataclass(frozen=True, slots=True)
class ModeFidelity:
    """Over `tokens` held-out tokens. `kl`: nats a token, of the checkpoint's prediction against the bundle's; `top1`:
    share of tokens that both find most likely; perplexities where the next token is known, else None; `same_tokens`:
    how many from the start of a sequence agree, the median; `drift`: relative distance of the hidden states before the
    first layer and after each, [] if nobody looked into them; `before`: of the embedding, or of what encoders and
    projectors make, by graph; `data`: SHA-256 of what was held out."""

    tokens: int
    kl: float
    top1: float
    exact_perplexity: float | None
    perplexity: float | None
    same_tokens: float
    drift: list[float]
    before: dict[str, float] = field(default_factory=dict)
    data: str = ""

    @property
    def worst(self) -> str:
        """Where the distance grows most."""
        return next(iter(self.worst_layers))

    @property
    def worst_layers(self) -> dict[str, float]:
        """By how much the distance grows, where it grows most."""
        growth = np.diff([0.0, *self.drift])
        named = {"what comes before the first layer": growth[0]} if self.drift else {}
        named |= {f"layer {layer}": grown for layer, grown in enumerate(growth[1:])}
        return _largest(named)


@dataclass(frozen=True, slots=True)
class Fidelity:
    """`errors`: of each matrix's output, relative. `notes`: what could not be measured, and why. `seconds` that it took
    are not written: equal exports are equal to the byte."""

    recipe: str
    modes: dict[str, ModeFidelity]
    errors: dict[str, float]
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def with_more(self, other: "Fidelity") -> "Fidelity":
        """And the modes and notes of `other`, which was measured later."""
        seconds = self.seconds + other.seconds
        return replace(self, modes=self.modes | other.modes, notes=[*self.notes, *other.notes], seconds=seconds)

    def check(self, max_kl: float) -> None:
        """Raises CheckpointError for the first mode that lost more than `max_kl`, or whose encoders are far off, and
        for a matrix of which nothing is left."""
        for name, mode in self.modes.items():
            for part, distance in mode.before.items():
                if not distance <= MAX_START:
                    option = "--head-bits 8" if part == "embedding" else "--encoder-bits 32"
                    raise CheckpointError(
                        f"in the mode {name}, what the {part} makes would be {distance:.0%} off, "
                        f"{MAX_START:.0%} are allowed",
                        f"export with {option}; if that does not help, the checkpoint may be damaged",
                    )
        for matrix, error in self.errors.items():
            if not error <= MAX_ERROR:
                raise CheckpointError(
                    f"what the matrix {matrix} makes would be {error:.0%} off, {MAX_ERROR:.0%} are allowed",
                    "export with --bits 8; if that does not help, the checkpoint may be damaged",
                )
        for name, mode in self.modes.items():
            if not mode.kl <= max_kl:  # nan is too much as well
                better = f"choose --recipe {'faithful' if self.recipe else 'balanced'}"
                if name.endswith(INT8_CACHE):
                    better = "leave out --kv-bits 8"
                raise CheckpointError(
                    f"the mode {name} would lose too much: KL {mode.kl:.3f} nats a token, {max_kl:g} are allowed; "
                    f"most is lost in {mode.worst}",
                    f"{better}, or allow more with --max-kl",
                )

    def to_dict(self) -> dict[str, Any]:
        told = asdict(self)
        for name, mode in self.modes.items():
            told["modes"][name]["worst_layers"] = mode.worst_layers
        del told["seconds"]
        return {"schema": 1, "created_by": f"phi-edge {__version__}", "worst_matrices": _largest(self.errors)} | told

    def to_json(self) -> bytes:
        return json.dumps(self.to_dict(), indent=1).encode()


def mode_fidelity(
    predictions: Predictions, lengths: list[int], drift: list[float], before: dict[str, float], data: str
) -> ModeFidelity:
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
        before or ({"embedding": drift[0]} if drift else {}),
        data,
    )


def _largest(values: dict[str, float]) -> dict[str, float]:
    """The few largest, the largest first; nan is larger than all."""
    order = sorted(values, key=lambda name: -np.inf if np.isnan(values[name]) else -values[name])
    return {name: float(values[name]) for name in order[:WORST]}
