"""A voice for the ear."""

import shutil
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import soxr

from benchmarks.terminal.speech.synthesise import speak, trim
from benchmarks.terminal.speech.voices import Voice


@pytest.fixture(scope="session")
def say() -> Callable[[str], np.ndarray]:
    """Speaks a text with espeak-ng: float32 [N] at 16 kHz, without silence around it, its peak at -6 dB."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("speaks with espeak-ng, not installed here (apt install espeak-ng)")

    @cache
    def spoken(text: str) -> np.ndarray:
        samples, rate = speak(text, Voice("espeak", "en-us", variant="", pitch=50, pitch_range=100, speed=160))
        samples = trim(soxr.resample(samples, rate, 16_000).astype(np.float32))
        samples *= np.float32(0.5 / np.abs(samples).max())
        samples.flags.writeable = False
        return samples

    return spoken
