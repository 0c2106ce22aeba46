"""95 % confidence intervals: Wilson for rates, the bootstrap over utterances for word error rates."""

import math
from collections.abc import Sequence

import numpy as np

Z = 1.959964  # the 97.5 % point of the normal distribution
RESAMPLES = 2000
SEED = 0


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The score interval of hits / count, count ≥ 1 (Wilson, 1927). Within 0 and 1 also for no or only hits."""
    share = hits / count
    centre = share + Z * Z / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    scale = 1 + Z * Z / count
    # without the rounding errors at the ends: no hits are compatible with a rate of zero
    low = 0.0 if hits == 0 else (centre - half) / scale
    high = 1.0 if hits == count else (centre + half) / scale
    return low, high


def bootstrap(errors: Sequence[int], words: Sequence[int]) -> tuple[float, float]:
    """The percentile interval of sum(errors) / sum(words) when whole utterances are drawn again, by a fixed seed.

    sum(words) ≥ 1. Without a single error every draw is alike and says nothing, so there the upper end is Wilson's for
    utterances, as if a wrong one were wrong in every word.
    """
    wrong, total = np.asarray(errors), np.asarray(words)
    if not wrong.any():
        return 0.0, wilson(0, len(wrong))[1]
    random = np.random.default_rng(SEED)
    rates = []
    for _ in range(RESAMPLES):
        drawn = random.integers(0, len(wrong), len(wrong))
        if total[drawn].any():  # utterances of silence alone have no words to be wrong in
            rates.append(wrong[drawn].sum() / total[drawn].sum())
    low, high = np.quantile(rates, (0.025, 0.975))
    return float(low), float(high)
