"""A layer of the checkpoint, forward and backward: what each of its matrices reads, and what hangs on its output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from export.architectures.spec import DecoderSpec
from export.architectures.weights import stored_as
from export.calibration.layer import LayerMath
from export.calibration.solver import NORM_BEFORE, ROLES
from export.precision.gradients import attended_back, gated_back, normed_back
from export.sources.checkpoint import Checkpoint
from export.weights.encode import read_rows
from export.weights.layout import PlacedWeight

Traced = dict[str, tuple[np.ndarray, np.ndarray]]
"""By matrix, (what it reads, float32 [T, K]; the gradient of its output, [T, N])."""


@dataclass(slots=True)
class TracedLayer:
    """All matrices of a layer in float32, and those of the adapters in `modes`. Adapters have no entry in `Traced`."""

    math: LayerMath
    matrices: dict[str, np.ndarray]
    gains: dict[str, np.ndarray]
    sides: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]

    @classmethod
    def read(
        cls,
        spec: DecoderSpec,
        layer: int,
        weights: Mapping[str, PlacedWeight],
        checkpoint: Checkpoint,
        modes: Sequence[str],
    ) -> "TracedLayer":
        name = f"layers.{layer}"

        def rows(weight: str) -> np.ndarray:
            return read_rows(weights[weight], checkpoint)

        matrices = {
            role: np.concatenate([rows(part) for part in stored_as(f"{name}.{role}", weights)]) for role in ROLES
        }
        gains = {role: rows(f"{name}.{norm}") for role, norm in NORM_BEFORE.items()}
        sides = {
            (mode, role): (rows(f"{side}.A"), rows(f"{side}.B"))
            for mode in modes
            for role in ROLES
            if f"{(side := f'lora.{mode}.{name}.{role}')}.A" in weights
        }
        return cls(LayerMath(spec), matrices, gains, sides)

    def forward(self, mode: str, residual: np.ndarray) -> np.ndarray:
        """The residual stream [T, hidden] behind the layer."""
        reads, middle, _, _ = self._run(mode, residual)
        return middle + self._multiplied(self._product("down", mode, reads["down"]))

    def back(self, mode: str, residual: np.ndarray, grad: np.ndarray) -> tuple[np.ndarray, Traced]:
        """From the gradient of the stream behind the layer to that before it, and those of all outputs within."""
        math = self.math
        reads, middle, qkv, both = self._run(mode, residual)
        grads = {"down": self._multiplied(grad)}
        grads["gate_up"] = gated_back(math, both, self._back("down", mode, grads["down"]))
        normed = self._back("gate_up", mode, grads["gate_up"])
        grad = grad + normed_back(math, middle, self.gains["gate_up"], normed)
        grads["attention_out"] = self._multiplied(grad)
        grads["qkv"] = attended_back(math, qkv, self._back("attention_out", mode, grads["attention_out"]))
        normed = self._back("qkv", mode, grads["qkv"])
        grad = grad + normed_back(math, residual, self.gains["qkv"], normed)
        return grad, {role: (reads[role], grads[role]) for role in ROLES}

    def _run(self, mode: str, residual: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
        """(what each matrix reads, the stream in the middle, outputs of qkv and of gate and up)."""
        math, reads = self.math, {}
        reads["qkv"] = math.normed(residual, self.gains["qkv"])
        qkv = self._product("qkv", mode, reads["qkv"])
        reads["attention_out"] = math.attended(qkv)
        middle = residual + self._multiplied(self._product("attention_out", mode, reads["attention_out"]))
        reads["gate_up"] = math.normed(middle, self.gains["gate_up"])
        both = self._product("gate_up", mode, reads["gate_up"])
        reads["down"] = math.gated(both)
        return reads, middle, qkv, both

    def _product(self, role: str, mode: str, x: np.ndarray) -> np.ndarray:
        product: np.ndarray = x @ self.matrices[role].T
        if side := self.sides.get((mode, role)):
            product += x @ side[0].T @ side[1].T
        return product

    def _back(self, role: str, mode: str, grad: np.ndarray) -> np.ndarray:
        back: np.ndarray = grad @ self.matrices[role]
        if side := self.sides.get((mode, role)):
            back += grad @ side[1] @ side[0]
        return back

    def _multiplied(self, x: np.ndarray) -> np.ndarray:
        return x * np.float32(self.math.spec.residual_multiplier)
