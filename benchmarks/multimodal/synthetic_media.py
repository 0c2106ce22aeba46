"""Recordings, pictures and words made of seeded noise: the same on every machine, different for every seed."""

from collections.abc import Callable

import numpy as np

LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz     "))


def recording(seconds: float, rate: int, seed: int) -> np.ndarray:
    """float32 [N] within ±1: harmonics of a drifting voice in syllables, over faint noise."""
    random = np.random.default_rng([seed, 1])
    time = np.arange(round(seconds * rate)) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.3 * time + random.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(harmonic * phase + random.uniform(0, 6)) / harmonic for harmonic in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 4 * time + random.uniform(0, 6)), 0, None)
    return (0.2 * voice * syllables + 0.005 * random.standard_normal(len(time))).astype(np.float32)


def picture(side: int, seed: int) -> np.ndarray:
    """uint8 RGB [side, side, 3]: coarse coloured patches under noise."""
    random = np.random.default_rng([seed, 2])
    coarse = random.integers(0, 256, (8, 8, 3))
    cell = -(-side // 8)
    whole = np.repeat(np.repeat(coarse, cell, 0), cell, 1)[:side, :side]
    return np.clip(whole + random.normal(0, 12, whole.shape), 0, 255).astype(np.uint8)


def words(count: Callable[[str], int], tokens: int, seed: int) -> str:
    """The shortest beginning of a random text for which `count` gives at least `tokens`."""
    random = np.random.default_rng([seed, 3])
    text = "".join(random.choice(LETTERS, 16 * tokens))
    low, high = 1, len(text)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if count(text[:middle]) >= tokens else (middle + 1, high)
    return text[:low]
