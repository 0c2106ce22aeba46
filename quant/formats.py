"""How a weight is stored: in blocks for MatMulNBits, per channel for int8 GEMM, or as floats."""

from dataclasses import dataclass, replace

BITS = (4, 8)
BLOCKS = (32, 64, 128)


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """Weights [N, K] are cut along K into blocks; each block has one float32 scale and, if asymmetric, a zero point.

    The last block of a row is padded with the zero point when K is no multiple of `block`.
    """

    bits: int
    block: int
    symmetric: bool = False
    activation_bits: int = 8
    """8: the kernel rounds the other operand to int8 per block; 16: its rounding error is multiplied as well."""

    def __post_init__(self) -> None:
        if self.bits not in BITS or self.block not in BLOCKS:
            raise ValueError(f"bits must be one of {BITS} and block one of {BLOCKS}, not {self.bits}/{self.block}")

    def blocks(self, columns: int) -> int:
        return -(-columns // self.block)

    def value_shape(self, rows: int, columns: int) -> tuple[int, int, int]:
        return rows, self.blocks(columns), self.block * self.bits // 8

    def zero_point_columns(self, columns: int) -> int:
        """Bytes per row; int4 zero points are packed in pairs."""
        return -(-self.blocks(columns) * self.bits // 8)

    def bits_per_weight(self) -> float:
        return self.bits + (32 + (0 if self.symmetric else self.bits)) / self.block


@dataclass(frozen=True, slots=True)
class ChannelFormat:
    """int8 with one float32 scale per output channel, symmetric, stored [K, N] as MatMulIntegerToFloat reads it.

    Several times faster than blocks when many rows are multiplied at once (prompts, encoders), and a byte per weight.
    """

    bits: int = 8
    block: int = 0
    symmetric: bool = True
    activation_bits: int = 8


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """Unquantised float32, for references and for tensors that must not be touched."""

    bits: int = 32
    block: int = 0
    symmetric: bool = True
    activation_bits: int = 32


WeightFormat = BlockFormat | ChannelFormat | FloatFormat


def fitting(fmt: WeightFormat, columns: int) -> WeightFormat:
    """With the largest block up to the wanted one that cuts `columns` without padding, which would be read for
    nothing; smaller blocks are more exact as well."""
    if not isinstance(fmt, BlockFormat):
        return fmt
    blocks = [block for block in BLOCKS if block <= fmt.block and columns % block == 0]
    return replace(fmt, block=max(blocks, default=min(BLOCKS)))
