"""Levels: speech against noise, and the silence around it. Samples are float32 [N]."""

import numpy as np

_SILENCE = 0.6  # seconds at most before, and after, the speech
_BLOCK = 160  # samples
_ACTIVE = 1e-3  # of the loudest block's power


def add_noise(samples: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """`noise` (unit RMS) added `snr` dB below the speech in `samples`."""
    return (samples + noise * np.float32(np.sqrt(speech_power(samples)) * 10.0 ** (-snr / 20))).astype(np.float32)


def speech_power(samples: np.ndarray) -> float:
    """Mean power where something is said: of the blocks (10 or 20 ms) within 30 dB of the loudest."""
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    power = np.mean(np.square(blocks, dtype=np.float64), axis=1) if len(blocks) else np.zeros(1)
    return float(np.mean(power[power >= _ACTIVE * power.max()]))


def surround(rng: np.random.Generator, samples: np.ndarray, rate: int) -> np.ndarray:
    """With digital silence before and after: none in a quarter of the cases, else up to 0.6 s."""
    before, after = np.maximum(0.0, rng.uniform(-_SILENCE / 3, _SILENCE, 2))
    return np.pad(samples, (int(before * rate), int(after * rate)))
