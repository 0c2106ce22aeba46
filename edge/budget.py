"""How finely a picture may be looked at when the first token must come within a number of seconds."""

from collections.abc import Sequence

from edge.media.crop_sizes import MAX_CROPS, PATCH
from edge.media.tiling import choose_tiling
from edge.runtime.speeds import Speeds


def crops_within(
    seconds: float,
    speeds: Speeds,
    sizes: Sequence[tuple[int, int]],
    other_tokens: int,
    most: int = MAX_CROPS,
    patch_size: int = PATCH,
) -> tuple[int, float]:
    """(max_crops, expected seconds) for pictures of `sizes` (width, height) in a prompt with `other_tokens` more.

    The most crops, up to `most`, that are expected to fit, the same for all pictures; 1 when nothing fits.
    """
    for max_crops in range(most, 0, -1):
        tilings = [choose_tiling(width, height, max_crops, patch_size) for width, height in sizes]
        crops = sum(tiling.crops for tiling in tilings)
        expected = speeds.seconds(crops, other_tokens + sum(tiling.tokens for tiling in tilings))
        if expected <= seconds:
            break
    return max_crops, expected
