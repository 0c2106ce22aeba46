"""Round to nearest: every block on its own, no data needed."""

import numpy as np

from quant.formats import BlockFormat
from quant.packing import PackedRows, pack_levels

TINY = np.finfo(np.float32).tiny


def quantise_rows(weights: np.ndarray, fmt: BlockFormat) -> PackedRows:
    """float32 [n, K] -> packed blocks. Deterministic, independent of how a matrix is cut into row ranges."""
    rows, columns = weights.shape
    blocks = fmt.blocks(columns)
    padding = blocks * fmt.block - columns
    if padding:
        weights = np.pad(weights, ((0, 0), (0, padding)))
    grouped = weights.reshape(rows, blocks, fmt.block)
    scales, zeros = _symmetric(grouped, fmt.bits) if fmt.symmetric else _asymmetric(grouped, fmt.bits)
    # the runtime reads denormal numbers as 0; a block that small is 0 here too, and 1 / scale stays finite
    scales[np.abs(scales) < TINY] = 0
    with np.errstate(divide="ignore"):
        inverse = np.where(scales == 0, 0, np.float32(1) / scales).astype(np.float32)

    levels = grouped * inverse[..., None]
    levels += zeros[..., None]
    np.rint(levels, out=levels)
    np.clip(levels, 0, (1 << fmt.bits) - 1, out=levels)
    return pack_levels(levels.astype(np.uint8), scales, zeros, fmt)


def _symmetric(grouped: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The entry of largest magnitude lands exactly on the far end of the range, which has one level more."""
    low, high = grouped.min(axis=2), grouped.max(axis=2)
    extreme = np.where(-low > high, low, high)
    middle = 1 << (bits - 1)
    scales = (extreme / np.float32(-middle)).astype(np.float32)
    return scales, np.full_like(scales, middle)


def _asymmetric(grouped: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The range always contains 0, so that a zero weight stays exactly zero."""
    low = np.minimum(grouped.min(axis=2), 0)
    high = np.maximum(grouped.max(axis=2), 0)
    top = (1 << bits) - 1
    # divided first: high - low may be more than a float32 holds
    scales = (high / np.float32(top) - low / np.float32(top)).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        zeros = np.where(scales < TINY, 0, np.clip(np.rint(-low / scales), 0, top)).astype(np.float32)
    return scales, zeros
