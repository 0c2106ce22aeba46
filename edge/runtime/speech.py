"""Log-mel features to encoder frames, in windows of 40 seconds that know nothing of each other."""

from collections.abc import Iterator

import numpy as np

from edge.runtime.encoder import Encoders

REDUCTION = 8
"""Feature frames per encoder frame, by three convolutions of stride 2."""

WINDOW = 500
"""Encoder frames that attend to each other."""


def encoder_frames(features: int) -> int:
    return -(-features // REDUCTION)


def batch_rows(features: int, longest: int) -> int:
    """Zero rows behind `features` rows of a clip that is heard together with one of `longest` rows.

    The original pads a batch before its convolutions, so the last frame of a shorter clip sees that padding; rows
    beyond this frame make no difference.
    """
    return max(0, min(encoder_frames(features) * REDUCTION, longest) - features)


def encode_speech(encoders: Encoders, features: np.ndarray, padding: int, batch: bool) -> Iterator[np.ndarray]:
    """Encoder frames float32 [n, width] of each window, for log-mel `features` float32 [T, 80].

    `padding` as `batch_rows` gives it. A clip of several windows has its last one filled up with zero frames. The
    model sees them, as the original does with a single clip; in a `batch` of clips it masks them.
    """
    total = encoder_frames(len(features))
    if padding:
        features = np.pad(features, ((0, padding), (0, 0)))
    if total <= WINDOW:
        yield _window(encoders, features, 0, np.zeros(total, np.float32))
        return
    for first in range(0, total, WINDOW):
        real = min(WINDOW, total - first)
        bias = np.zeros(WINDOW, np.float32)
        if batch:
            bias[real:] = -np.inf
        # one frame more at the left: its convolutions lack their past, it is dropped, all others are exact
        skip = 1 if first else 0
        start = (first - skip) * REDUCTION
        yield _window(encoders, features[start : (first + WINDOW) * REDUCTION], skip, bias)[:real]


def _window(encoders: Encoders, features: np.ndarray, skip: int, key_bias: np.ndarray) -> np.ndarray:
    return encoders.run("speech_encoder", features=features[None], skip=np.array([skip], np.int64), key_bias=key_bias)
