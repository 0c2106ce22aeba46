"""Where every tensor will lie in weights.bin, known before the first byte is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from quant.formats import BlockFormat, ChannelFormat, WeightFormat

PAGE = 4096
"""onnxruntime maps a tensor from the file instead of copying it only if it starts on a page."""

ITEM_BYTES = {"float32": 4, "uint8": 1, "int8": 1}


@dataclass(frozen=True, slots=True)
class Section:
    """One contiguous array in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def length(self) -> int:
        return prod(self.shape) * ITEM_BYTES[self.dtype]

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a checkpoint tensor, from `first` on, that make up a part of a weight."""

    tensor: str
    rows: int
    first: int = 0


@dataclass(frozen=True, slots=True)
class WeightSource:
    """What the graph calls a weight, the checkpoint tensors stacked to make it [rows, columns], and its format.

    A vector (norm weight) has columns 0. A float weight of another rank (convolution) has its `shape` here; rows and
    columns are its first dimension and the product of the others. Values are multiplied by `multiplier`.
    """

    name: str
    group: str
    parts: tuple[Part, ...]
    columns: int
    format: WeightFormat
    shape: tuple[int, ...] = ()
    multiplier: float = 1.0

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True, slots=True)
class PlacedWeight:
    """A weight with its places in the file: values, then scales and zero points when quantised."""

    source: WeightSource
    values: Section
    scales: Section | None = None
    zero_points: Section | None = None

    @property
    def sections(self) -> list[Section]:
        return [section for section in (self.values, self.scales, self.zero_points) if section]

    @property
    def bytes(self) -> int:
        return sum(section.length for section in self.sections)


def align(offset: int) -> int:
    return -(-offset // PAGE) * PAGE


def place(sources: Sequence[WeightSource]) -> list[PlacedWeight]:
    """Lays the weights out in order, each array on a page of its own."""
    placed: list[PlacedWeight] = []
    offset = 0
    for source in sources:
        sections = []
        for suffix, dtype, shape in _arrays(source):
            section = Section(source.name + suffix, dtype, shape, align(offset))
            offset = section.end
            sections.append(section)
        placed.append(PlacedWeight(source, *sections))
    return placed


def _arrays(source: WeightSource) -> list[tuple[str, str, tuple[int, ...]]]:
    rows, columns, fmt = source.rows, source.columns, source.format
    if isinstance(fmt, ChannelFormat):
        return [(".values", "int8", (columns, rows)), (".scales", "float32", (rows,))]
    if not isinstance(fmt, BlockFormat):
        return [("", "float32", source.shape or ((rows, columns) if columns else (rows,)))]
    arrays: list[tuple[str, str, tuple[int, ...]]] = [
        (".values", "uint8", fmt.value_shape(rows, columns)),
        (".scales", "float32", (rows, fmt.blocks(columns))),
    ]
    if not fmt.symmetric:
        arrays.append((".zero_points", "uint8", (rows, fmt.zero_point_columns(columns))))
    return arrays
