"""Collects the weights of a graph and checks each against the checkpoint before anything is written."""

from collections.abc import Mapping
from math import prod

from edge.errors import CheckpointError
from export.sources.checkpoint import TensorInfo
from export.weights.layout import Part, WeightSource
from quant.formats import FloatFormat, WeightFormat

MISFIT = "config.json and the weights belong to different models"


class WeightTable:
    """`sources` in file order. Every method raises CheckpointError for a missing tensor or another shape."""

    def __init__(self, tensors: Mapping[str, TensorInfo]) -> None:
        self._tensors = tensors
        self.sources: list[WeightSource] = []

    def matrix(
        self,
        name: str,
        group: str,
        tensors: tuple[str, ...],
        rows: int,
        columns: int,
        fmt: WeightFormat,
        multiplier: float = 1.0,
        convolution: bool = False,
        first: int = 0,
        only: int | None = None,
    ) -> None:
        """A Linear [rows, columns]: tensors stacked by rows; or of these rows `only` so many, from `first` on.

        With `convolution` they have more dimensions, whose product is `columns`: the kernel is 1 or its own stride.
        """
        shapes = [self._shape(tensor) for tensor in tensors]
        if sum(shape[0] for shape in shapes) != rows or any(
            len(shape) < 2 or (len(shape) > 2) != convolution or prod(shape[1:]) != columns for shape in shapes
        ):
            found = " + ".join("×".join(map(str, shape)) for shape in shapes)
            raise CheckpointError(
                f"tensor {' + '.join(tensors)} has shape {found}, the config asks for {rows}×{columns}", MISFIT
            )
        whole = [Part(tensor, shape[0]) for tensor, shape in zip(tensors, shapes, strict=True)]
        parts = _cut(whole, first, rows if only is None else only)
        self.sources.append(WeightSource(name, group, parts, columns, fmt, multiplier=multiplier))

    def vector(self, name: str, tensors: str | tuple[str, ...], size: int, group: str = "norms") -> None:
        """A float32 vector [size]: one tensor, or several joined (the biases of stacked matrices)."""
        names = (tensors,) if isinstance(tensors, str) else tensors
        shapes = [self._shape(tensor) for tensor in names]
        if any(len(shape) != 1 for shape in shapes) or sum(shape[0] for shape in shapes) != size:
            found = " + ".join(map(str, shapes))
            raise CheckpointError(
                f"tensor {' + '.join(names)} has shape {found}, the config asks for ({size},)", MISFIT
            )
        parts = tuple(Part(tensor, shape[0]) for tensor, shape in zip(names, shapes, strict=True))
        self.sources.append(WeightSource(name, group, parts, 0, FloatFormat()))

    def tensor(self, name: str, group: str, tensor: str, shape: tuple[int, ...]) -> None:
        """A float32 tensor of any rank (convolution, position table). Dimensions of 1 may be missing or extra."""
        found = self._shape(tensor)
        if [n for n in found if n != 1] != [n for n in shape if n != 1]:
            raise CheckpointError(f"tensor {tensor} has shape {found}, the config asks for {shape}", MISFIT)
        part = Part(tensor, found[0])
        self.sources.append(WeightSource(name, group, (part,), prod(found[1:]), FloatFormat(), shape))

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self._tensors:
            raise CheckpointError(f"tensor {name} is missing from the checkpoint", "is a shard file missing?")
        shape = self._tensors[name].shape
        if not shape or min(shape) < 1:
            raise CheckpointError(f"tensor {name} has shape {shape}, which has no elements", MISFIT)
        return shape


def _cut(parts: list[Part], first: int, count: int) -> tuple[Part, ...]:
    """`count` rows of all these, from `first` on."""
    found, start = [], 0
    for part in parts:
        low, high = max(first, start), min(first + count, start + part.rows)
        if low < high:
            found.append(Part(part.tensor, high - low, part.first + low - start))
        start += part.rows
    return tuple(found)
