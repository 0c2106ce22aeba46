"""What each format of each matrix would cost in the prediction, alone: nats a token, to second order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from export.architectures.spec import DecoderSpec
from export.calibration.flow import EXACT, Flow
from export.calibration.rows_file import RowsFile
from export.precision.gradients import normed_back
from export.precision.matrix_costs import TOKENS, AddingUp, Costs, matrix_costs
from export.precision.surprise import surprise_back
from export.precision.traced import TracedLayer
from export.sources.checkpoint import Checkpoint
from export.weights.encode import read_rows
from export.weights.layout import PlacedWeight
from quant.formats import BlockFormat

ROWS = 2048
"""Of the head, at a time."""
SEED = 6


Choices = Callable[[str, int], Sequence[BlockFormat]]
"""(qk, v, attention_out, gate_up or down; its columns) to the formats that it might get."""


@dataclass(slots=True)
class Sensitivity:
    """`flows` begin before the first layer. `told` hears the name of each layer that is done, there and back."""

    spec: DecoderSpec
    checkpoint: Checkpoint
    weights: Mapping[str, PlacedWeight]
    flows: Sequence[Flow]
    choices: Choices
    told: Callable[[str], None] = lambda name: None
    _streams: "list[_Stream]" = field(default_factory=list)

    def measure(self) -> Costs:
        """One pass forward, one back; y of log p(y) is drawn from the checkpoint's own prediction, so that the squares
        of its gradients are Fisher's information. How far errors add up over tokens is measured by kind of matrix, as
        it is too noisy in a single one."""
        self._streams = [_Stream(flow) for flow in self.flows]
        for number in range(self.spec.layers):
            layer = self._layer(number)
            for stream in self._streams:
                stream.write(number + 1, (layer.forward(stream.mode, r) for r in stream.read(number)))
            self.told(f"layers.{number}")
        gradients = [list(self._last(stream)) for stream in self._streams]
        costs: Costs = {}
        adding: dict[str, AddingUp] = {}
        for number in reversed(range(self.spec.layers)):
            layer = self._layer(number)
            traced: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
            for stream, grads in zip(self._streams, gradients, strict=True):
                for place, residual in enumerate(stream.read(number)):
                    grads[place], found = layer.back(stream.mode, residual, grads[place])
                    for role, both in found.items():
                        traced.setdefault(role, []).append(both)
                stream.forget(number + 1)
            # sums over the widest input take most memory: when it comes, all the rest is gone
            for role in sorted(traced, key=lambda role: layer.matrices[role].shape[1]):
                matrix = layer.matrices.pop(role)
                x, grad = (np.concatenate(arrays) for arrays in zip(*traced.pop(role), strict=True))
                for name, rows in self._matrices(role):
                    choices = self.choices(name, x.shape[1])
                    costs[f"layers.{number}.{name}"] = matrix_costs(
                        matrix[rows], x, grad[:, rows], choices, adding.setdefault(name, AddingUp())
                    )
                del matrix, x, grad
            self.told(f"layers.{number}")
        return {
            name: {
                fmt: replace(cost, weights=cost.weights * adding[name.split(".")[-1]].share)
                for fmt, cost in found.items()
            }
            for name, found in costs.items()
        }

    def _layer(self, number: int) -> TracedLayer:
        modes = [stream.mode for stream in self._streams]
        return TracedLayer.read(self.spec, number, self.weights, self.checkpoint, modes)

    def _matrices(self, role: str) -> Iterator[tuple[str, slice]]:
        """The parts of it that may have formats of their own, by rows."""
        if role != "qkv":
            yield role, slice(None)
            return
        first = sum(self.spec.qkv_rows[:2])
        yield "qk", slice(0, first)
        yield "v", slice(first, None)

    def _last(self, stream: "_Stream") -> Iterator[np.ndarray]:
        """Gradients of the residual stream behind the last layer."""
        gain, rng = read_rows(self.weights["norm"], self.checkpoint), np.random.default_rng(SEED)
        for residual in stream.read(self.spec.layers):
            normed = stream.math.normed(residual, gain)
            grad = surprise_back(normed, self._head(), rng, self.spec.logits_divisor)
            yield normed_back(stream.math, residual, gain, grad)

    def _head(self) -> Iterator[np.ndarray]:
        head = self.weights["head"].source
        for start in range(0, head.rows, ROWS):
            yield self.checkpoint.rows(head.parts[0].tensor, start, min(start + ROWS, head.rows))


class _Stream:
    """The residual streams of a flow's first sequences, of every layer, in files."""

    def __init__(self, flow: Flow) -> None:
        self.mode, self.math = flow.mode, flow.math
        self._folder = flow.folder
        spans = [span for span in flow.spans if not span.held_out]
        ends = np.cumsum([span.stop - span.start for span in spans])
        spans = spans[: max(1, int((ends <= TOKENS).sum()))]
        self._bounds = [0, *ends[: len(spans)].tolist()]
        start = flow.start(EXACT)
        self.write(0, (start.read(span.start, span.stop) for span in spans))

    def read(self, layer: int) -> Iterator[np.ndarray]:
        rows = RowsFile(self._file(layer), self.math.spec.hidden_size)
        for start, stop in pairwise(self._bounds):
            yield rows.read(start, stop)

    def write(self, layer: int, sequences: Iterator[np.ndarray]) -> None:
        rows = RowsFile(self._file(layer), self.math.spec.hidden_size)
        for start, sequence in zip(self._bounds, sequences, strict=False):
            rows.write(start, sequence)

    def forget(self, layer: int) -> None:
        self._file(layer).unlink()

    def _file(self, layer: int) -> Path:
        return self._folder / f"precision.{self.mode}.{layer}"
