"""Scale and zero point of every block, searched so that the columns with large inputs are rounded best."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from quant.formats import BlockFormat
from quant.packing import PackedRows, dequantise, pack_levels, unpack_nibbles
from quant.rtn import quantise_rows
from quant.statistics import Statistics

CUTS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
"""Shares of a block's own range, tried for both ends apart: cutting a few weights may round all others better."""

POLISHES = 2
SLAB = 1 << 16
"""Weights per pass: a quarter of a megabyte of float32 stays in cache through all candidates."""

TINY = np.finfo(np.float32).tiny
SMALLEST = np.float32(1e-30)
"""Blocks with smaller weights only are left to round to nearest: the runtime reads denormal scales as 0."""


@dataclass(frozen=True, slots=True)
class _Ranges:
    """float32 [n] each: weight ≈ (level − zero) · scale. Zeros are whole numbers."""

    scales: np.ndarray
    zeros: np.ndarray


def quantise_searched(weights: np.ndarray, fmt: BlockFormat, statistics: Statistics) -> tuple[PackedRows, float]:
    """float32 [n, K] -> packed blocks and their relative output error. Every weight goes to its nearest level."""
    rows, columns = weights.shape
    shape = rows, fmt.blocks(columns)
    levels = np.empty((*shape, fmt.block), np.uint8)
    scales, zeros = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for block, start in enumerate(range(0, columns, fmt.block)):
        part = weights[:, start : start + fmt.block]
        importance = statistics.importance[start : start + fmt.block]
        scales[:, block], zeros[:, block] = search_ranges(part, importance, fmt.bits, fmt.symmetric)
        steps = _steps(part, _Ranges(scales[:, block], zeros[:, block]), fmt.bits)
        levels[:, block, : part.shape[1]] = steps + zeros[:, block, None]
        levels[:, block, part.shape[1] :] = zeros[:, block, None]
    packed = pack_levels(levels, scales, zeros, fmt)
    return packed, statistics.error(weights, dequantise(packed, fmt, columns))


def search_ranges(
    weights: np.ndarray, importance: np.ndarray, bits: int, symmetric: bool
) -> tuple[np.ndarray, np.ndarray]:
    """One block of every row, float32 [n, width], and Σ x² per column [width] -> scales and zeros, float32 [n].

    Σ x² (w − ŵ)² is never above that of round to nearest. Rows do not influence each other.
    """
    # only ratios count, and a float32 must hold them
    heavy = (importance / max(float(importance.max()), TINY)).astype(np.float32)
    step = max(1, SLAB // weights.shape[1])
    parts = [_search(weights[at : at + step], heavy, bits, symmetric) for at in range(0, len(weights), step)]
    return np.concatenate([part.scales for part in parts]), np.concatenate([part.zeros for part in parts])


def _search(weights: np.ndarray, heavy: np.ndarray, bits: int, symmetric: bool) -> _Ranges:
    plain = _round_to_nearest(weights, bits, symmetric)
    size = np.abs(weights).max(axis=1)
    large = size >= SMALLEST
    inverse = np.divide(1, size, out=np.zeros_like(size), where=large)
    # divided by its largest weight, no row overflows or vanishes when it is squared
    unit = weights * inverse[:, None]
    best = _Ranges(plain.scales * inverse, plain.zeros)
    first = error = _error(unit, best, heavy, bits)
    for ranges in _candidates(unit, bits, symmetric):
        error, best = _better(error, best, _refitted(unit, ranges, heavy, bits), unit, heavy, bits)
    for _ in range(POLISHES):
        error, best = _better(error, best, _refitted(unit, best, heavy, bits), unit, heavy, bits)
    gained = (error < first) & large
    return _Ranges(np.where(gained, best.scales * size, plain.scales), np.where(gained, best.zeros, plain.zeros))


def _round_to_nearest(weights: np.ndarray, bits: int, symmetric: bool) -> _Ranges:
    packed = quantise_rows(weights, BlockFormat(bits, 128, symmetric))
    scales = packed.scales[:, 0]
    if packed.zero_points is None:
        return _Ranges(scales, np.full_like(scales, 1 << (bits - 1)))
    points = packed.zero_points if bits == 8 else unpack_nibbles(packed.zero_points)
    return _Ranges(scales, points[:, 0].astype(np.float32))


def _candidates(unit: np.ndarray, bits: int, symmetric: bool) -> Iterator[_Ranges]:
    low, high = np.minimum(unit.min(axis=1), 0), np.maximum(unit.max(axis=1), 0)
    top, middle = np.float32((1 << bits) - 1), np.float32(1 << (bits - 1))
    if symmetric:
        # the longer end at the side that has one level more, or both ends within the other levels
        extreme = np.where(-low > high, low, high)
        for cut, levels in product(CUTS, (-middle, middle - 1)):
            yield _Ranges(extreme * np.float32(cut) / levels, np.full_like(low, middle))
        return
    for below, above in product(CUTS, CUTS):
        scales = (high * above - low * below) / top
        zeros = np.divide(-low * below, scales, out=np.zeros_like(low), where=scales > 0)
        yield _Ranges(scales, np.clip(np.rint(zeros), 0, top))


def _steps(weights: np.ndarray, ranges: _Ranges, bits: int) -> np.ndarray:
    """level − zero of every weight, whole numbers as float32 [n, width]."""
    with np.errstate(divide="ignore"):
        inverse = np.where(ranges.scales == 0, 0, np.float32(1) / ranges.scales).astype(np.float32)
    steps = weights * inverse[:, None]
    np.rint(steps, out=steps)
    low = -ranges.zeros[:, None]
    return np.clip(steps, low, low + ((1 << bits) - 1), out=steps)


def _refitted(unit: np.ndarray, ranges: _Ranges, heavy: np.ndarray, bits: int) -> _Ranges:
    """The scale that suits these levels best, by least squares: Σ h w q / Σ h q² with q = level − zero."""
    steps = _steps(unit, ranges, bits)
    weighted = steps * heavy
    power = np.einsum("nk,nk->n", weighted, steps)
    fitted = np.einsum("nk,nk->n", weighted, unit)
    return _Ranges(np.divide(fitted, power, out=ranges.scales.copy(), where=power > 0), ranges.zeros)


def _better(
    error: np.ndarray, best: _Ranges, other: _Ranges, unit: np.ndarray, heavy: np.ndarray, bits: int
) -> tuple[np.ndarray, _Ranges]:
    found = _error(unit, other, heavy, bits)
    wins = found < error
    zeros = np.where(wins, other.zeros, best.zeros)
    return np.where(wins, found, error), _Ranges(np.where(wins, other.scales, best.scales), zeros)


def _error(unit: np.ndarray, ranges: _Ranges, heavy: np.ndarray, bits: int) -> np.ndarray:
    """[n]: Σ h (w − ŵ)²."""
    off = _steps(unit, ranges, bits)
    off *= ranges.scales[:, None]
    off -= unit
    error: np.ndarray = np.einsum("nk,nk,k->n", off, off, heavy)
    return error
