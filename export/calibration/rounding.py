"""Activations as the kernels read them: MatMulNBits at accuracy level 4, or the int8 product by channels."""

import numpy as np

from quant.formats import WeightFormat

TINY = np.float32(1e-30)


def as_the_kernel_reads(x: np.ndarray, fmt: WeightFormat) -> np.ndarray:
    """float32 [T, K]: each block of a row in int8 steps of max|x| / 127, the whole row where weights have no blocks;
    unchanged for 16 bits and floats."""
    if fmt.activation_bits != 8:
        return x
    tokens, columns = x.shape
    block = fmt.block or columns
    blocks = np.pad(x, ((0, 0), (0, -columns % block))).reshape(tokens, -1, block)
    step = np.maximum(np.abs(blocks).max(axis=2, keepdims=True) / np.float32(127), TINY)
    return (np.rint(blocks / step) * step).reshape(tokens, -1)[:, :columns]
