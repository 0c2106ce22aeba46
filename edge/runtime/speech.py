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


def encode_speech(encoders: Encoders, features: np.ndarray, hide_padding: bool) -> Iterator[np.ndarray]:
    """Encoder frames float32 [n, width] of each window, for log-mel `features` float32 [T, 80].

    A clip of several windows has its last one padded with zero frames to full length. The model sees them, as the
    original does with a single clip; with several clips it masks them (`hide_padding`).
    """
    total = encoder_frames(len(features))
    if total <= WINDOW:
        yield _window(encoders, features, 0, np.zeros(total, np.float32))
        return
    for first in range(0, total, WINDOW):
        real = min(WINDOW, total - first)
        bias = np.zeros(WINDOW, np.float32)
        if hide_padding:
            bias[real:] = -np.inf
        # one frame more at the left: its convolutions lack their past, it is dropped, all others are exact
        skip = 1 if first else 0
        start = (first - skip) * REDUCTION
        yield _window(encoders, features[start : (first + WINDOW) * REDUCTION], skip, bias)[:real]


def _window(encoders: Encoders, features: np.ndarray, skip: int, key_bias: np.ndarray) -> np.ndarray:
    return encoders.run("speech_encoder", features=features[None], skip=np.array([skip], np.int64), key_bias=key_bias)
