"""Signals whose loudness, pitch and place are known, for tests of the spoken training data."""

import numpy as np
import pytest

RATES = pytest.mark.parametrize("rate", [8_000, 16_000])


def bursts(rate: int, seconds: float = 2.0) -> np.ndarray:
    """Something with syllables: a 300 Hz buzz, on and off every quarter second, of power 0.045 where it is on."""
    time = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 300 * time) * (time % 0.5 < 0.25)).astype(np.float32)


def tone(frequency: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)
