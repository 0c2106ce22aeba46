"""Log-mel features as Phi-4-multimodal was trained on: 80 filters, one frame every 10 ms, no normalisation."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from edge.errors import InputError
from edge.media.waveform import Waveform

N_MELS = 80
FRAMES_PER_TOKEN = 8
_PRE_EMPHASIS = 0.97
_INT16_SCALE = 32768.0
_FLOOR = 1.0
_TOP_HZ = 7690.0
_BIN_HZ = 31.25  # 16000 / 512 and 8000 / 256 alike, so that one filter bank serves both rates
_BINS = 257
_SLAB_FRAMES = 512


@dataclass(frozen=True, slots=True)
class _Framing:
    """Samples of a window and of the step to the next, and the length of its Fourier transform."""

    window: int
    hop: int
    n_fft: int


_FRAMINGS = {16_000: _Framing(400, 160, 512), 8_000: _Framing(200, 80, 256)}


def frames(samples: int, rate: int) -> int:
    """Feature frames of a clip: whole windows only, neither centred nor padded.

    Raises InputError when there is not one, or the rate is neither 8000 nor 16000.
    """
    framing = _framing(rate)
    if samples < framing.window:
        raise InputError(
            f"The audio clip of {samples:,} samples at {rate:,} Hz is shorter than 25 ms, too short to hold speech.",
            "record a longer one",
        )
    return (samples - framing.window) // framing.hop + 1


def audio_tokens(frames: int) -> int:
    """Prompt positions of `frames` feature frames: one for every started 80 ms."""
    return -(-frames // FRAMES_PER_TOKEN)


def log_mel(waveform: Waveform) -> np.ndarray:
    """Features float32 [T, 80] of a clip, T = frames(N, rate); natural logarithms of powers, 0 or more.

    Each window, by itself: x[n] − 0.97·x[n−1] (x[−1] = x[0]), times 32768, times a symmetric Hamming window;
    |FFT|²; filter bank; ln(max(·, 1)). 8 kHz clips have no power from 4 kHz on. Raises InputError like frames().
    """
    framing = _framing(waveform.rate)
    total = frames(len(waveform.samples), waveform.rate)
    windows = np.lib.stride_tricks.sliding_window_view(waveform.samples, framing.window)[:: framing.hop]
    hamming = np.hamming(framing.window) * _INT16_SCALE
    bins = min(_BINS, framing.n_fft // 2 + 1)
    if waveform.rate == 8_000:
        bins -= 1  # its Nyquist bin is left out, like all above
    bank = mel_filters()[:bins]
    features = np.empty((total, N_MELS), np.float32)
    for start in range(0, total, _SLAB_FRAMES):
        # double precision: a float recording may be so loud that its power is beyond float32
        slab = windows[start : start + _SLAB_FRAMES].astype(np.float64)
        previous = np.concatenate([slab[:, :1], slab[:, :-1]], axis=1)
        spectrum = np.fft.rfft((slab - _PRE_EMPHASIS * previous) * hamming, framing.n_fft)[:, :bins]
        power = spectrum.real**2 + spectrum.imag**2
        features[start : start + len(slab)] = np.log(np.maximum(power @ bank, _FLOOR))
    return features


@cache
def mel_filters() -> np.ndarray:
    """Weights float64 [257, 80] of the FFT bins (31.25 Hz apart) in the mel filters.

    80 triangles, linear in mel = 1127·ln(1 + f/700), of height 1, evenly spaced in mel over 0 to 7690 Hz. Bin 0 and
    the bin nearest to 7690 Hz (number 246) belong to no filter in the original, although 246 lies just inside.
    """
    mel = 1127.0 * np.log1p(np.arange(_BINS) * _BIN_HZ / 700.0)
    step = 1127.0 * np.log1p(_TOP_HZ / 700.0) / (N_MELS + 1)
    centres = step * np.arange(1, N_MELS + 1)
    weights = np.maximum(0.0, 1.0 - np.abs(mel[:, None] - centres) / step)
    weights[0] = weights[round(_TOP_HZ / _BIN_HZ) :] = 0.0
    weights.flags.writeable = False
    return weights


def _framing(rate: int) -> _Framing:
    try:
        return _FRAMINGS[rate]
    except KeyError:
        raise InputError(
            f"Speech features need 8,000 or 16,000 samples a second, not {rate:,}.",
            "make the clip with edge.media.waveform.waveform(samples, rate)",
        ) from None
