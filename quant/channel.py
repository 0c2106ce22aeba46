"""int8 with one scale per output channel, round to nearest."""

import numpy as np

LEVELS = 127
TINY = np.finfo(np.float32).tiny


def quantise_channels(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [n, K] -> int8 [n, K] in -127..127 and float32 scales [n]; weight ≈ value * scale."""
    largest = np.maximum(weights.max(axis=1, initial=0), -weights.min(axis=1, initial=0))
    scales = (largest / np.float32(LEVELS)).astype(np.float32)
    scales[scales < TINY] = 0
    with np.errstate(divide="ignore"):
        inverse = np.where(scales == 0, 0, np.float32(1) / scales).astype(np.float32)
    levels = weights * inverse[:, None]
    np.rint(levels, out=levels)
    np.clip(levels, -LEVELS, LEVELS, out=levels)
    return levels.astype(np.int8), scales
