"""New speakers out of recordings: speed and pitch on samples, vocal tract length and tempo on features."""

from functools import cache

import numpy as np
import soxr

from edge.media.log_mel import mel_filters
from edge.media.waveform import Waveform

_HAMMING = {16_000: (400, 160, 512), 8_000: (200, 80, 256)}  # window, hop, Fourier transform, as in edge.media.log_mel
_KNEE = 0.85  # the part of the band that is scaled; the rest is bent to keep the band's end in place


def change_speed(samples: np.ndarray, rate: int, factor: float, to_rate: int | None = None) -> np.ndarray:
    """`samples` float32 [N] at `rate` played `factor` times as fast, hence as much higher, at `to_rate` (or `rate`)."""
    target = to_rate or rate
    if rate * factor == target:
        return samples
    return soxr.resample(samples, rate * factor, target, quality="MQ").astype(np.float32)


def warped_log_mel(recording: Waveform, tract: float = 1.0, tempo: float = 1.0) -> np.ndarray:
    """Features float32 [T, 80] like edge.media.log_mel.log_mel, which they equal when both factors are 1.

    `tract` moves what is at frequency f to f·tract (above 1: a shorter vocal tract); `tempo` above 1 is faster: T
    becomes about T/tempo by linear interpolation between frames.
    """
    window, hop, n_fft = _HAMMING[recording.rate]
    frames = np.lib.stride_tricks.sliding_window_view(recording.samples, window)[::hop].astype(np.float64)
    emphasised = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    spectrum = np.fft.rfft(emphasised * (np.hamming(window) * 32768.0), n_fft)
    bank = warped_filters(round(tract, 2), recording.rate)
    power = (spectrum.real**2 + spectrum.imag**2)[:, : len(bank)]
    features = np.log(np.maximum(power @ bank, 1.0)).astype(np.float32)
    return features if tempo == 1.0 else change_tempo(features, tempo)


def change_tempo(features: np.ndarray, tempo: float) -> np.ndarray:
    """Frames [T, 80] read `tempo` times as fast: [max(1, round(T/tempo)), 80]."""
    position = np.linspace(0, len(features) - 1, max(1, round(len(features) / tempo)))
    before = position.astype(np.int64)
    after = np.minimum(before + 1, len(features) - 1)
    share = (position - before).astype(np.float32)[:, None]
    return features[before] * (1 - share) + features[after] * share


@cache
def warped_filters(tract: float, rate: int) -> np.ndarray:
    """The filter bank float64 [bins, 80] for power spectra whose frequency axis is stretched by `tract`.

    Bin k of the stretched spectrum is read at bin g(k), between two bins linearly: bank' = Wᵀ·bank. g is k/tract up to
    a knee and from there a line to the last bin (as vocal tract normalisation is usually done).
    """
    bins = 257 if rate == 16_000 else 128
    bank = mel_filters()[:bins]
    if tract == 1.0:
        return bank
    last = bins - 1
    knee = _KNEE * last * min(1.0, tract)
    source = np.interp(np.arange(bins), [0.0, knee, last], [0.0, knee / tract, last])
    before = np.minimum(source.astype(np.int64), last - 1)
    share = source - before
    reading = np.zeros((bins, bins))
    reading[np.arange(bins), before] = 1 - share
    reading[np.arange(bins), before + 1] = share
    return reading.T @ bank
