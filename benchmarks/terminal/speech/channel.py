"""From the air to the file: microphones, amplifiers, telephones, codecs. Samples in and out are float32 [N]."""

import io

import numpy as np
import soundfile
import soxr

from benchmarks.terminal.speech.rooms import fast_length

_CODECS = (  # container, encoding, libsndfile's compression level; Opus is the slowest and drawn least
    *3 * (("OGG", "VORBIS", 0.95),),
    *2 * (("MP3", "MPEG_LAYER_III", 0.95),),
    ("WAV", "IMA_ADPCM", None),
    ("WAV", "GSM610", None),
    ("OGG", "OPUS", 0.99),
)


def draw_channel(rng: np.random.Generator, samples: np.ndarray, rate: int) -> np.ndarray:
    """`samples` as some device would have stored them: same length and rate, within ±1, in steps of 16 bits."""
    if rng.random() < 0.6:
        samples = microphone(rng, samples, rate)
    if rng.random() < 0.12:
        samples = soft_clip(samples, drive=rng.uniform(1.0, 6.0))
    samples = to_peak(samples, 10.0 ** (-rng.uniform(0, 38) / 20))
    if rate == 16_000 and rng.random() < 0.08:
        samples = telephone(samples, rate)
    if rng.random() < 0.08:
        samples = mu_law(samples)
    if rng.random() < 0.06:
        samples = codec(samples, rate, *_CODECS[rng.integers(len(_CODECS))])
    if rng.random() < 0.1:
        samples = samples + np.float32(rng.uniform(-0.02, 0.02))
    if rng.random() < 0.05:
        samples = dropouts(rng, samples, rate)
    return to_16_bits(samples)


def microphone(rng: np.random.Generator, samples: np.ndarray, rate: int) -> np.ndarray:
    """A cheap capsule: an uneven response (±6 dB) between a lower and an upper corner frequency."""
    size = fast_length(len(samples))
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / rate), 1.0)
    corners = np.geomspace(100.0, rate / 2, 7)
    response = 10.0 ** (np.interp(np.log(frequency), np.log(corners), rng.uniform(-6, 6, 7)) / 20)
    low, high = rng.uniform(30, 320), rng.uniform(0.4, 1.1) * min(rate / 2, 8000.0)
    order = rng.integers(1, 4)
    response /= np.sqrt(1.0 + (low / frequency) ** (2 * order)) * np.sqrt(1.0 + (frequency / high) ** (4 * order))
    return np.fft.irfft(np.fft.rfft(samples, size) * response.astype(np.float32), size)[: len(samples)].astype(
        np.float32
    )


def soft_clip(samples: np.ndarray, drive: float) -> np.ndarray:
    """An overdriven amplifier: tanh, with the peak at `drive`."""
    return np.tanh(to_peak(samples, drive))


def to_peak(samples: np.ndarray, peak: float) -> np.ndarray:
    """Scaled so that the largest sample is ±peak; digital silence stays silent."""
    largest = float(np.max(np.abs(samples), initial=0.0))
    return (samples * (peak / largest)).astype(np.float32) if largest > 0 else samples


def telephone(samples: np.ndarray, rate: int) -> np.ndarray:
    """Through 8 kHz and back: nothing above 4 kHz is left."""
    return _same_length(soxr.resample(soxr.resample(samples, rate, 8_000), 8_000, rate), len(samples))


def mu_law(samples: np.ndarray) -> np.ndarray:
    """ITU-T G.711's 8 bits: F(x) = sgn(x)·ln(1 + 255|x|)/ln 256, rounded, and back."""
    squeezed = np.sign(samples) * np.log1p(255.0 * np.abs(np.clip(samples, -1, 1))) / np.log(256.0)
    coarse = np.round(squeezed * 127.0) / 127.0
    return (np.sign(coarse) * np.expm1(np.abs(coarse) * np.log(256.0)) / 255.0).astype(np.float32)


def codec(samples: np.ndarray, rate: int, container: str, encoding: str, compression: float | None) -> np.ndarray:
    """Encoded at a low bit rate and decoded again by libsndfile."""
    file, audible = io.BytesIO(), np.clip(samples, -1, 1)
    soundfile.write(file, audible, rate, format=container, subtype=encoding, compression_level=compression)
    file.seek(0)
    return _same_length(soundfile.read(file, dtype="float32")[0], len(samples))


def dropouts(rng: np.random.Generator, samples: np.ndarray, rate: int) -> np.ndarray:
    """One to three gaps of 5 to 30 ms, as lost packets leave."""
    samples = samples.copy()
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(len(samples)))
        samples[start : start + int(rng.uniform(0.005, 0.03) * rate)] = 0.0
    return samples


def to_16_bits(samples: np.ndarray) -> np.ndarray:
    """Clipped to ±1 and rounded, so that a WAV file of 16 bits holds exactly these samples."""
    steps = np.clip(np.round(samples * np.float32(32768)), -32768, 32767)
    return (steps / 32768).astype(np.float32)


def _same_length(samples: np.ndarray, length: int) -> np.ndarray:
    return np.pad(samples[:length], (0, max(0, length - len(samples)))).astype(np.float32)
