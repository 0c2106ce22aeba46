"""Embeddings of tokens, as the checkpoint has them and as the bundle's table will."""

from collections.abc import Callable, Sequence

import numpy as np

from export.architectures.spec import DecoderSpec
from export.calibration.flow import EXACT, SEEN
from export.sources.checkpoint import Checkpoint
from quant.formats import BlockFormat, WeightFormat
from quant.packing import dequantise
from quant.rtn import quantise_rows


def embedded(
    spec: DecoderSpec,
    checkpoint: Checkpoint,
    fmt: WeightFormat,
    tokens: Sequence[int],
    stored: Callable[[int], np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """float32 [tokens, hidden] of each kind; `stored` has the row [1, hidden] of a token, if it was written already."""
    used, where = np.unique(np.asarray(tokens, np.int64), return_inverse=True)
    exact = np.concatenate([checkpoint.rows(spec.embedding_tensor, int(t), int(t) + 1) for t in used])
    seen = exact
    if stored:
        seen = np.concatenate([stored(int(token)) for token in used])
    elif isinstance(fmt, BlockFormat):
        seen = dequantise(quantise_rows(exact, fmt), fmt, spec.hidden_size)
    factor = np.float32(spec.embedding_multiplier)
    return {EXACT: exact[where] * factor, SEEN: seen[where] * factor}
