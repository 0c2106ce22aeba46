"""Every format the exporter may write, and seeded random weights to try them on."""

import numpy as np

from quant.formats import BITS, BLOCKS, BlockFormat

ALL_FORMATS = [BlockFormat(bits, block, symmetric) for bits in BITS for block in BLOCKS for symmetric in (False, True)]


def name(fmt: BlockFormat) -> str:
    return f"int{fmt.bits}-{fmt.block}-{'symmetric' if fmt.symmetric else 'asymmetric'}"


def weights(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """float32 [rows, columns] around 0, with a few outliers as in real models."""
    random = np.random.default_rng(seed)
    made = random.standard_normal((rows, columns)).astype(np.float32) * np.float32(0.05)
    made[random.random((rows, columns)) < 0.01] *= 8
    return made
