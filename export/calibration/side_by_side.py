"""Layer by layer: held-out sequences through the checkpoint's matrices, and through those that were written."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from export.architectures.weights import stored_as
from export.calibration.flow import EXACT, KINDS, Flow, Span
from export.calibration.solver import NORM_BEFORE, ROLES, Linear
from export.calibration.stored import StoredWeights
from export.sources.checkpoint import Checkpoint
from export.weights.encode import read_rows
from export.weights.layout import PlacedWeight

SAMPLED = 32
"""Rows of a sequence that the error of a single matrix is measured with."""


@dataclass(slots=True)
class SideBySide:
    """`suffix` is that of the second copies that prompts are read with, if those are meant. `told` hears the name of
    each matrix. `errors`: ‖Ŵ x̂ − W x‖ / ‖W x‖ over the exact inputs x, which the kernel reads as x̂."""

    checkpoint: Checkpoint
    weights: Mapping[str, PlacedWeight]
    stored: StoredWeights
    flows: Sequence[Flow]
    suffix: str = ""
    told: Callable[[str], None] = lambda name: None
    errors: dict[str, float] = field(default_factory=dict)
    _samples: dict[str, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)

    def run(self, layers: int) -> None:
        for layer in range(layers):
            for flow in self.flows:
                flow.open(layer)
            for role in ROLES:
                self._stage(f"layers.{layer}", role)
            for flow in self.flows:
                flow.close(layer)
                flow.leave(layer)

    def _stage(self, layer: str, role: str) -> None:
        names = stored_as(f"{layer}.{role}{self.suffix}", self.weights)
        norm = self.weights.get(f"{layer}.{NORM_BEFORE.get(role)}")
        for kind in KINDS:
            gain = self._matrix(norm, kind) if norm else None
            base = [self._linear(name, kind) for name in names]
            for flow in self.flows:
                adapter = f"lora.{flow.mode}.{layer}.{role}"
                sides = [f"{adapter}.{part}{self.suffix}" for part in ("A", "B")]
                side = [self._linear(name, kind) for name in sides if name in self.weights]
                for span, x in self._inputs(role, kind, flow, gain):
                    parts = [self._sampled(*pair, x, kind) for pair in zip(names, base, strict=True)]
                    product = np.concatenate(parts, axis=1) if parts[1:] else parts[0]
                    if side:
                        inner = self._sampled(sides[0], side[0], x, kind)
                        product += self._sampled(sides[1], side[1], inner, kind)
                    flow.take(role, kind, span, product)
                del side
            del base  # a matrix of Phi-4-mini is 200 MB in float32

    def _inputs(self, role: str, kind: str, flow: Flow, gain: np.ndarray | None) -> Iterator[tuple[Span, np.ndarray]]:
        return ((span, flow.input(role, kind, span, gain)) for span in flow.spans)

    def _linear(self, name: str, kind: str) -> Linear:
        weight = self.weights[name]
        if kind == EXACT:
            return Linear(self._matrix(weight, kind))
        linear = Linear(self._matrix(weight, kind), weight.source.format)
        if name in self._samples:  # an adapter's matrix is loaded by its own mode only, the others once for all
            samples = self._samples.pop(name)
            apart = sum(float(np.square(linear(x) - y, dtype=np.float64).sum()) for x, y in samples)
            size = sum(float(np.square(y, dtype=np.float64).sum()) for _, y in samples)
            self.errors[name] = float(np.sqrt(apart / size)) if size else 0.0
            self.told(name)
        return linear

    def _sampled(self, name: str, linear: Linear, x: np.ndarray, kind: str) -> np.ndarray:
        product = linear(x)
        if kind == EXACT:
            step = -(-len(x) // SAMPLED)
            self._samples.setdefault(name, []).append((x[::step].copy(), product[::step].copy()))
        return product

    def _matrix(self, weight: PlacedWeight, kind: str) -> np.ndarray:
        return read_rows(weight, self.checkpoint) if kind == EXACT else self.stored.matrix(weight)
