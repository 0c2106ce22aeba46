"""What a factory terminal's microphone hears beside, or instead of, speech. All noises have unit RMS."""

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.terminal.speech.rooms import fast_length

_TABLE = 1024  # samples of one period of a waveform


def coloured(rng: np.random.Generator, samples: int, rate: int, exponent: float | None = None) -> np.ndarray:
    """Noise whose power falls with frequency^exponent: 0 is white, 1 pink, 2 brown (drawn when None)."""
    if exponent is None:
        exponent = rng.uniform(0.0, 2.2)
    white = rng.standard_normal(fast_length(samples), dtype=np.float32)
    spectrum = np.fft.rfft(white)
    frequency = np.fft.rfftfreq(len(white), 1 / rate).astype(np.float32)
    spectrum *= np.maximum(frequency, 20.0) ** np.float32(-exponent / 2)
    spectrum[0] = 0
    return _unit(np.fft.irfft(spectrum, len(white))[:samples])


def hum(rng: np.random.Generator, samples: int, rate: int) -> np.ndarray:
    """Mains hum of 50 or 60 Hz with harmonics, and a little hiss."""
    timbre = _timbre(rng, 60.0, rate, harmonics=20, decay=rng.uniform(0.8, 2.5))
    tone = _play(timbre, np.full(samples, rng.choice([50.0, 60.0])), rate)
    return _unit(tone + rng.uniform(0.01, 0.3) * coloured(rng, samples, rate))


def motor(rng: np.random.Generator, samples: int, rate: int) -> np.ndarray:
    """A fan or motor: harmonics of a speed that wanders slowly, and air noise that swells with the rotation."""
    wander = np.interp(np.arange(samples), np.linspace(0, samples, 6), rng.uniform(0.95, 1.05, 6))
    speed = rng.uniform(15, 240) * wander
    tone = _play(_timbre(rng, 260.0, rate, harmonics=30, decay=rng.uniform(0.3, 1.5)), speed, rate)
    swell = 1.0 + rng.uniform(0, 0.6) * _play(_timbre(rng, 35.0, rate, harmonics=2, decay=1.0), speed / 8, rate)
    return _unit(rng.uniform(0.1, 1.5) * tone + swell * coloured(rng, samples, rate))


def clanks(rng: np.random.Generator, samples: int, rate: int) -> np.ndarray:
    """Metal on metal: damped resonances at random moments over a quiet floor."""
    out = 0.02 * coloured(rng, samples, rate)
    for _ in range(1 + rng.poisson(2.0 * samples / rate)):
        start = int(rng.integers(samples))
        length = min(int(0.35 * rate), samples - start)
        time = np.arange(length, dtype=np.float32) / rate
        modes = int(rng.integers(2, 6))
        frequencies = rng.uniform(250, 0.45 * rate, modes).astype(np.float32)
        damping = rng.uniform(12, 90, modes).astype(np.float32)
        rings = np.sin(2 * np.pi * frequencies[:, None] * time) * np.exp(-damping[:, None] * time)
        out[start : start + length] += rng.uniform(0.2, 1.0) * (rng.uniform(0.2, 1.0, modes).astype(np.float32) @ rings)
    return _unit(out)


def music(rng: np.random.Generator, samples: int, rate: int) -> np.ndarray:
    """A melody over chords, in one timbre."""
    beat = int(rng.uniform(0.15, 0.6) * rate)
    scale = rng.uniform(110, 220) * 2.0 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16]) / 12)
    timbre = _timbre(rng, 2.0 * scale[-1], rate, harmonics=8, decay=rng.uniform(0.5, 2.5))
    fading = rng.uniform(1.0, 6.0)
    out = np.zeros(samples, np.float32)
    for index, start in enumerate(range(0, samples, beat)):
        notes = [2.0 * scale[rng.integers(10)]]
        if index % 4 == 0:
            root = int(rng.integers(5))
            notes += [scale[root], scale[root + 2], scale[root + 4]]
        length = min(beat * (4 if index % 4 == 0 else 1), samples - start)
        envelope = np.exp(-fading * np.arange(length, dtype=np.float32) / rate)
        envelope[: rate // 100] *= np.linspace(0, 1, rate // 100, dtype=np.float32)[:length]
        for note in notes:
            out[start : start + length] += _play(timbre, np.full(length, note), rate) * envelope
    return _unit(out)


def beeps(rng: np.random.Generator, samples: int, rate: int) -> np.ndarray:
    """An alarm: one or two tones switched on and off, over a quiet floor."""
    period = int(rng.uniform(0.1, 0.8) * rate)
    position = (np.arange(samples) + rng.integers(period)) % period
    tones = rng.uniform(400, 0.4 * rate, 2)
    second = rng.random() < 0.5
    frequency = np.where(position < period // 2, tones[0], tones[1] if second else tones[0])
    gate = np.ones(samples) if second else position < period * rng.uniform(0.2, 0.8)
    tone = _play(_timbre(rng, float(tones.max()), rate, harmonics=3, decay=rng.uniform(0.5, 3)), frequency, rate)
    return _unit(tone * gate + 0.02 * coloured(rng, samples, rate))


def babble(rng: np.random.Generator, samples: int, talkers: Sequence[np.ndarray]) -> np.ndarray:
    """Five to eight people at once, none of whom can be followed. `talkers` hold speech."""
    out = np.zeros(samples, np.float32)
    for index in rng.integers(len(talkers), size=rng.integers(5, 9)):
        talk = np.resize(talkers[index], samples + len(talkers[index]))
        start = int(rng.integers(len(talkers[index])))
        out += rng.uniform(0.5, 1.0) * _unit(talk[start : start + samples])
    return _unit(out)


def draw_noise(
    rng: np.random.Generator, samples: int, rate: int, talkers: Callable[[int], Sequence[np.ndarray]] | None
) -> np.ndarray:
    """One of all kinds: float32 [samples] of unit RMS. `talkers(rate)` is asked only when there is babble; without
    them there is none."""
    if rng.random() < 0.1 and talkers:
        return babble(rng, samples, talkers(rate))
    kinds: tuple[Callable[[np.random.Generator, int, int], np.ndarray], ...]
    kinds = (coloured, coloured, coloured, hum, motor, motor, clanks, music, beeps)
    return kinds[rng.integers(len(kinds))](rng, samples, rate)


def _timbre(rng: np.random.Generator, highest: float, rate: int, harmonics: int, decay: float) -> np.ndarray:
    """One period of a tone whose harmonics fall with order^decay, and stay below Nyquist up to a pitch of `highest`."""
    count = max(1, min(harmonics, int(0.48 * rate / highest)))
    order = np.arange(1, count + 1)
    strength = rng.uniform(0.3, 1.0, count) * order ** -float(decay)
    angle = 2 * np.pi * (np.outer(order, np.arange(_TABLE)) / _TABLE + rng.random((count, 1)))
    return _unit((strength @ np.sin(angle.astype(np.float32))).astype(np.float32))


def _play(timbre: np.ndarray, frequency: np.ndarray, rate: int) -> np.ndarray:
    """The tone, of `frequency` Hz at every sample."""
    phase = np.cumsum(frequency * (_TABLE / rate)).astype(np.int64)
    return timbre[phase % _TABLE]


def _unit(samples: np.ndarray) -> np.ndarray:
    """Scaled to RMS 1; digital silence stays silent."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return (samples / np.sqrt(power)).astype(np.float32) if power > 0 else samples.astype(np.float32)
