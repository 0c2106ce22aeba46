"""A recording ready for the speech encoder, with its token count."""

import hashlib
from pathlib import Path

import numpy as np

from edge.media.audio_file import read_audio
from edge.media.log_mel import audio_tokens, log_mel
from edge.media.waveform import Waveform, waveform


class Clip:
    """A recording as log-mel features. `key` names its content."""

    def __init__(self, recording: Waveform) -> None:
        self.seconds = recording.seconds
        self.features = log_mel(recording)
        self.tokens = audio_tokens(len(self.features))
        self.key = "clip:" + hashlib.sha256(self.features.tobytes()).hexdigest()


AudioSource = Path | str | bytes | Waveform | tuple[np.ndarray, float] | Clip
"""A file, its bytes, or samples [N] or [N, channels] with their rate in Hz."""


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
