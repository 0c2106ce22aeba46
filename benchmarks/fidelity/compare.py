"""Two decoders of the same model read the same tokens; how far apart are their predictions?"""

from functools import partial

import numpy as np

from benchmarks.fidelity.predictions import WINDOW, Fidelity, judge, logprobs, windows
from edge.runtime.decoder import Decoder


def compare(reference: Decoder, candidate: Decoder, ids: list[int], window: int = WINDOW) -> Fidelity:
    """Independent windows of `window` tokens; the first token of each is given, all others are predicted."""
    pieces = windows(ids, window)
    exact, other = (logprobs(partial(logits_of, decoder), pieces) for decoder in (reference, candidate))
    return judge(pieces, exact, other)


def logits_of(decoder: Decoder, ids: np.ndarray) -> np.ndarray:
    """float32 [n, vocab] of a text that begins with `ids`."""
    decoder.rewind(0)
    decoder.reserve(len(ids), False)
    logits = decoder.prefill(ids, rows=np.arange(len(ids)))
    decoder.rewind(0)  # nobody's conversation is in the cache now
    return logits
