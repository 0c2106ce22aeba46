"""Log-mel features to encoder frames, in windows of 40 seconds that know nothing of each other."""

import hashlib
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the encoder is given at once: `features` float32 [rows, 80], of which the first `skip` encoder frames are
    only there for the others, and `key_bias` float32 [frames after them], −inf for those that are masked. The clip has
    `frames` of what comes out."""

    features: np.ndarray
    skip: int
    key_bias: np.ndarray
    frames: int

    @property
    def key(self) -> str:
        """Equal keys mean equal encodings."""
        digest = hashlib.sha256(repr((self.features.shape, self.skip, self.frames)).encode())
        digest.update(np.ascontiguousarray(self.features).data)
        digest.update(self.key_bias.data)
        return "window:" + digest.hexdigest()


def windows(features: np.ndarray, padding: int, batch: bool) -> list[Window]:
    """Of log-mel `features` float32 [T, 80]; `padding` as `batch_rows` gives it.

    A clip of several windows has its last one filled up with zero frames. The model sees them, as the original does
    with a single clip; in a `batch` of clips it masks them. No window depends on what comes after it.
    """
    total = encoder_frames(len(features))
    if padding:
        features = np.pad(features, ((0, padding), (0, 0)))
    if total <= WINDOW:
        return [Window(features, 0, np.zeros(total, np.float32), total)]
    made = []
    for first in range(0, total, WINDOW):
        real = min(WINDOW, total - first)
        bias = np.zeros(WINDOW, np.float32)
        if batch:
            bias[real:] = -np.inf
        # one frame more at the left: its convolutions lack their past, it is dropped, all others are exact
        skip = 1 if first else 0
        start = (first - skip) * REDUCTION
        made.append(Window(features[start : (first + WINDOW) * REDUCTION], skip, bias, real))
    return made


def encode_window(encoders: Encoders, window: Window) -> np.ndarray:
    """Encoder frames float32 [frames, width]."""
    skip = np.array([window.skip], np.int64)
    made = encoders.run("speech_encoder", features=window.features[None], skip=skip, key_bias=window.key_bias)
    return made[: window.frames]
