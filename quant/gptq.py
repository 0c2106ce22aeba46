"""Each column makes up for the rounding errors of those before it, as far as the inputs go together."""

import numpy as np

from quant.formats import BlockFormat
from quant.packing import PackedRows, dequantise, pack_levels
from quant.range_search import search_ranges
from quant.statistics import Statistics

ROWS = 2048
"""At a time: rows do not depend on each other."""


def quantise_gptq(weights: np.ndarray, fmt: BlockFormat, statistics: Statistics) -> tuple[PackedRows, float]:
    """float32 [n, K] and the statistics of what it reads -> packed blocks and the relative error of the output.

    Columns are rounded in their order; where a block begins, its scale and zero point are chosen for the weights as
    the errors so far have changed them. Deterministic.
    """
    parts = [_round(weights[start : start + ROWS], fmt, statistics) for start in range(0, len(weights), ROWS)]
    levels, scales, zeros = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    packed = pack_levels(levels, scales, zeros, fmt)
    return packed, statistics.error(weights, dequantise(packed, fmt, weights.shape[1]))


def _round(weights: np.ndarray, fmt: BlockFormat, statistics: Statistics) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(levels uint8 [n, blocks, block], scales float32 [n, blocks], zero points float32 [n, blocks])."""
    rows, columns = weights.shape
    m, importance = statistics.feedback.m, statistics.importance
    shape = rows, fmt.blocks(columns)
    levels = np.zeros((*shape, fmt.block), np.uint8)
    scales, zeros = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    errors = np.zeros((rows, columns), np.float32)
    for block, start in enumerate(range(0, columns, fmt.block)):
        here = slice(start, min(start + fmt.block, columns))
        wanted = weights[:, here] + errors[:, :start] @ m[:start, here]
        scale, zero = search_ranges(wanted, importance[here], fmt.bits, fmt.symmetric)
        rounded = _columns(wanted, weights[:, here], m[here, here], scale, zero, fmt.bits, errors[:, here])
        levels[:, block, : rounded.shape[1]] = rounded
        levels[:, block, rounded.shape[1] :] = zero[:, None]
        scales[:, block], zeros[:, block] = scale, zero
    return levels, scales, zeros


def _columns(
    wanted: np.ndarray,
    weights: np.ndarray,
    m: np.ndarray,
    scale: np.ndarray,
    zero: np.ndarray,
    bits: int,
    errors: np.ndarray,
) -> np.ndarray:
    """uint8 [n, width]: the levels of one block; its `errors`, weights less their rounded values, are filled in."""
    levels = np.empty(wanted.shape, np.uint8)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    top = (1 << bits) - 1
    done = np.zeros((wanted.shape[1], len(wanted)), np.float32)  # errors of this block, a column in a row
    for column in range(wanted.shape[1]):
        value = wanted[:, column] + m[:column, column] @ done[:column]
        level = np.clip(np.rint(value * inverse + zero), 0, top)
        levels[:, column] = level
        done[column] = weights[:, column] - (level - zero) * scale
    errors[:] = done.T
    return levels
