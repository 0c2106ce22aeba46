"""What a user decides about an export."""

from dataclasses import dataclass

from edge.errors import UsageError
from export.architectures.weights import Recipe
from quant.formats import BITS, BLOCKS, BlockFormat, FloatFormat, WeightFormat

FLOAT_BITS = 32


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """`head_bits` and `embedding_bits` default to `bits`; a tied embedding is the head's table and shares its bits."""

    bits: int = 4
    block: int = 128
    symmetric: bool = False
    head_bits: int | None = None
    embedding_bits: int | None = None
    max_ram: int = 0
    """Bytes the process may use, 0 for no limit."""

    def recipe(self) -> Recipe:
        head = self.bits if self.head_bits is None else self.head_bits
        embedding = head if self.embedding_bits is None else self.embedding_bits
        return Recipe(self._format(self.bits), self._format(head), self._format(embedding))

    def _format(self, bits: int) -> WeightFormat:
        if bits == FLOAT_BITS:
            return FloatFormat()
        if bits not in BITS or self.block not in BLOCKS:
            raise UsageError(
                f"{bits} bits in blocks of {self.block} is not a format of the runtime",
                f"bits: {', '.join(map(str, BITS))} or {FLOAT_BITS}; block: {', '.join(map(str, BLOCKS))}",
            )
        return BlockFormat(bits, self.block, self.symmetric)
