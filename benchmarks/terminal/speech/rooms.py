"""Reverberation: impulse responses of imagined rooms, and speech heard in them."""

import numpy as np

_DIFFUSE_FROM = 0.015  # seconds after the direct sound


def draw_room(rng: np.random.Generator, rate: int) -> np.ndarray:
    """An impulse response float32 [N]: the direct sound (1 at index 0), a few early reflections, an exponentially
    decaying diffuse tail. RT60 is 0.1 to 0.7 s; the tail's energy is 2 to 20 dB below the direct sound's."""
    rt60 = rng.uniform(0.1, 0.7)
    times = np.arange(int(rt60 * rate)) / rate
    tail = rng.standard_normal(len(times), dtype=np.float32) * 10.0 ** (-3.0 * times / rt60)
    tail[: int(_DIFFUSE_FROM * rate)] = 0.0
    tail *= 10.0 ** (-rng.uniform(2, 20) / 20) / np.sqrt(np.sum(tail**2))
    for _ in range(rng.integers(2, 8)):
        delay = rng.uniform(0.001, 0.04)
        tail[int(delay * rate)] += rng.choice([-1, 1]) * rng.uniform(0.05, 0.5) * 10.0 ** (-3.0 * delay / rt60)
    tail[0] = 1.0
    return tail.astype(np.float32)


def reverberate(samples: np.ndarray, impulse: np.ndarray) -> np.ndarray:
    """`samples` float32 [N] convolved with `impulse`, cut to the same N."""
    size = fast_length(len(samples) + len(impulse) - 1)
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(impulse, size), size)
    return wet[: len(samples)].astype(np.float32)


def fast_length(samples: int) -> int:
    """The next length of the form 2^k·{4, 5, 6} (quick to transform, at most a third longer)."""
    power = 1 << max(0, (samples - 1).bit_length() - 3)
    return next(length for length in (4 * power, 5 * power, 6 * power, 8 * power) if length >= samples)
