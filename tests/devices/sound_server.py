"""The sound server of the benchmarks, for tests, and tones to play to it."""

import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from benchmarks.devices.sound_server import SoundServer

_PROGRAMS = ("pulseaudio", "pactl", "paplay")
_PORTAUDIO = [sys.executable, "-c", "import sounddevice"]


@contextmanager
def sound_server_for_tests(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    """Empty, without any microphone, and the only one that programs find. Skips the test when it cannot run."""
    if missing := [name for name in _PROGRAMS if not shutil.which(name)]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if subprocess.run(_PORTAUDIO, capture_output=True, check=False).returncode:
        pytest.skip("sounddevice or the PortAudio library is not installed")
    server = SoundServer(directory)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def write_tone(path: Path, hertz: float, seconds: float, rate: int = 44100) -> Path:
    """Left has the tone at half of full scale, right nothing."""
    tone = np.zeros((int(seconds * rate), 2), np.int16)
    tone[:, 0] = 16384 * np.sin(2 * np.pi * hertz * np.arange(len(tone)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, rate, 0, "NONE", ""))
        file.writeframes(tone.tobytes())
    return path


def pitch(samples: np.ndarray, rate: int = 16000) -> float:
    """Hz of the strongest frequency in `samples` [n]."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * rate / len(samples))
