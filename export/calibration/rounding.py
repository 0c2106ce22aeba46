"""Activations as MatMulNBits reads them at accuracy level 4."""

import numpy as np

from quant.formats import BlockFormat

TINY = np.float32(1e-30)


def as_the_kernel_reads(x: np.ndarray, fmt: BlockFormat) -> np.ndarray:
    """float32 [T, K]: each block of a row in int8 steps of max|x| / 127; unchanged for 16 bits."""
    if fmt.activation_bits != 8:
        return x
    tokens, columns = x.shape
    blocks = np.pad(x, ((0, 0), (0, -columns % fmt.block))).reshape(tokens, -1, fmt.block)
    step = np.maximum(np.abs(blocks).max(axis=2, keepdims=True) / np.float32(127), TINY)
    return (np.rint(blocks / step) * step).reshape(tokens, -1)[:, :columns]
