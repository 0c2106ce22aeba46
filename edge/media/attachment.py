"""What a turn carries beside text: recordings and pictures, ready for their encoders, with their token counts."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edge.media.audio_file import read_audio
from edge.media.crops import Crops, image_crops
from edge.media.image_file import as_rgb, read_image
from edge.media.log_mel import audio_tokens, log_mel
from edge.media.tiling import Tiling, assembly
from edge.media.waveform import Waveform, waveform


class Clip:
    """A recording as log-mel features. `key` names its content."""

    def __init__(self, recording: Waveform) -> None:
        self.seconds = recording.seconds
        self.features = log_mel(recording)
        self.tokens = audio_tokens(len(self.features))
        self.key = "clip:" + hashlib.sha256(self.features.tobytes()).hexdigest()


@dataclass(frozen=True)
class Picture:
    """A picture with the tiling it will be seen in. `key` names its content and the tiling."""

    rgb: np.ndarray
    tiling: Tiling

    @property
    def tokens(self) -> int:
        return self.tiling.tokens

    @cached_property
    def key(self) -> str:
        digest = hashlib.sha256(repr((self.rgb.shape, self.tiling)).encode())
        digest.update(np.ascontiguousarray(self.rgb).data)
        return "picture:" + digest.hexdigest()

    def crops(self) -> Crops:
        return image_crops(self.rgb, self.tiling)

    def order(self) -> np.ndarray:
        """int64 [tokens], rows of the feature matrix; see `assembly`."""
        return assembly(self.tiling)


AudioSource = Path | str | bytes | Waveform | tuple[np.ndarray, float] | Clip
"""A file, its bytes, or samples [N] or [N, channels] with their rate in Hz."""

ImageSource = Path | str | bytes | np.ndarray
"""A file, its bytes, or RGB pixels [height, width, 3]."""


def read_clip(source: AudioSource) -> Clip:
    """Raises InputError for a recording that cannot be used, or is too short to make a token."""
    match source:
        case Clip():
            return source
        case Waveform():
            return Clip(source)
        case (samples, rate):
            return Clip(waveform(samples, rate))
        case bytes():
            return Clip(read_audio(source))
    return Clip(read_audio(Path(source)))


def read_pixels(source: ImageSource) -> np.ndarray:
    """uint8 [height, width, 3] in RGB order. Raises InputError for a picture that cannot be used."""
    if isinstance(source, np.ndarray):
        return as_rgb(source)
    return read_image(source if isinstance(source, bytes) else Path(source))
