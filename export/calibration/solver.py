"""Layer by layer: what reaches a matrix through all that was quantised before it decides how it is quantised."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from export.architectures.spec import DecoderSpec
from export.architectures.weights import stored_as
from export.calibration.flow import EXACT, SEEN, Flow, Span
from export.calibration.rounding import as_the_kernel_reads
from export.calibration.solved import SolvedWeights
from export.sources.checkpoint import Checkpoint
from export.weights.encode import read_rows
from export.weights.layout import PlacedWeight
from quant.formats import BlockFormat, WeightFormat
from quant.packing import PackedRows, dequantise
from quant.statistics import Statistics

ROLES = ("qkv", "attention_out", "gate_up", "down")
NORM_BEFORE = {"qkv": "input_norm", "gate_up": "mlp_norm"}

Method = Callable[[np.ndarray, BlockFormat, Statistics], tuple[PackedRows, float]]
Inputs = Callable[[str, Flow, Span], np.ndarray]
"""(kind, flow, span) to what a matrix reads, float32 [T, K]."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A stored matrix, float32 [N, K], and the format that says how its input is rounded, None for not at all."""

    matrix: np.ndarray
    rounded: WeightFormat | None = None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        product: np.ndarray = (as_the_kernel_reads(x, self.rounded) if self.rounded else x) @ self.matrix.T
        return product


@dataclass(slots=True)
class Solver:
    """`weights` are those of the plan by name. `told` hears the name of each matrix that is done."""

    spec: DecoderSpec
    checkpoint: Checkpoint
    weights: Mapping[str, PlacedWeight]
    flows: Sequence[Flow]
    solved: SolvedWeights
    method: Method
    told: Callable[[str], None] = lambda name: None

    def run(self) -> None:
        """Goes on where an earlier run stopped; what it made is the same to the byte."""
        for layer in range(self._first_layer(), self.spec.layers):
            for flow in self.flows:
                flow.open(layer)
            for role in ROLES:
                self._stage(f"layers.{layer}", role)
            for flow in self.flows:
                flow.close(layer)
            for flow in self.flows:
                flow.leave(layer)

    def _first_layer(self) -> int:
        return max(n for n in range(self.spec.layers + 1) if all(flow.reached(n) for flow in self.flows))

    def _stage(self, layer: str, role: str) -> None:
        norm = self.weights.get(f"{layer}.{NORM_BEFORE.get(role)}")
        gain = read_rows(norm, self.checkpoint) if norm else None

        def inputs(kind: str, flow: Flow, span: Span) -> np.ndarray:
            return flow.input(role, kind, span, gain)

        names = stored_as(f"{layer}.{role}", self.weights)
        self._solve(names, self.flows, inputs)
        sides = {
            flow.mode: self._solve_adapter(f"lora.{flow.mode}.{layer}.{role}", flow, inputs) for flow in self.flows
        }
        for kind in (EXACT, SEEN):
            base = [self._linear(name, kind) for name in names]
            for flow in self.flows:
                side = [self._linear(name, kind) for name in sides[flow.mode]]
                for span in flow.spans:
                    x = inputs(kind, flow, span)
                    product = np.concatenate([linear(x) for linear in base], axis=1) if base[1:] else base[0](x)
                    if side:
                        product += side[1](side[0](x))
                    flow.take(role, kind, span, product)
            del base

    def _solve_adapter(self, name: str, flow: Flow, inputs: Inputs) -> Sequence[str]:
        """A, then B behind the A that was solved. The names of both, none if the flow's mode has no adapter."""
        a, b = f"{name}.A", f"{name}.B"
        if a not in self.weights:
            return ()
        self._solve([a], [flow], inputs)
        inner = {kind: self._linear(a, kind) for kind in (EXACT, SEEN)}
        self._solve([b], [flow], lambda kind, flow, span: inner[kind](inputs(kind, flow, span)))
        return a, b

    def _solve(self, names: Sequence[str], flows: Sequence[Flow], inputs: Inputs) -> None:
        missing = [name for name in names if name not in self.solved]
        if missing:
            statistics = Statistics(self.weights[missing[0]].source.columns)
            for flow, span in _learned(flows):
                statistics.add(inputs(SEEN, flow, span))
        for name in names:
            if name in missing:
                fmt = self.weights[name].source.format
                assert isinstance(fmt, BlockFormat)
                packed, error = self.method(read_rows(self.weights[name], self.checkpoint), fmt, statistics)
                self.solved.save(name, packed, error)
            self.told(name)

    def _linear(self, name: str, kind: str) -> Linear:
        weight = self.weights[name]
        if kind == EXACT:
            return Linear(read_rows(weight, self.checkpoint))
        fmt = weight.source.format
        assert isinstance(fmt, BlockFormat)
        return Linear(dequantise(self.solved.load(name), fmt, weight.source.columns), fmt)


def _learned(flows: Sequence[Flow]) -> Iterator[tuple[Flow, Span]]:
    return ((flow, span) for flow in flows for span in flow.spans if not span.held_out)
