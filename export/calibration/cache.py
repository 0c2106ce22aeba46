"""How large keys and values become, and the steps that an int8 KV cache rounds them in."""

from dataclasses import dataclass

import numpy as np

from export.architectures.spec import DecoderSpec
from export.graph.int8_cache import CacheSteps

LEVELS = 127
LEAST = 1e-3
"""Of the largest step: a channel that calibration never saw anything in gets no step of zero."""


@dataclass(slots=True)
class CacheRange:
    """Of one layer in one mode: `largest` is float32 [2, kv heads, head size], for keys and values.

    A rotation turns a pair of channels (a, b) by an angle that depends on the position; sqrt(a² + b²) bounds both at
    every position. So a pair has one range, and it does not matter which positions calibration saw.
    """

    spec: DecoderSpec
    largest: np.ndarray

    @classmethod
    def unknown(cls, spec: DecoderSpec) -> "CacheRange":
        return cls(spec, np.zeros((2, spec.kv_heads, spec.head_size), np.float32))

    @classmethod
    def from_bytes(cls, spec: DecoderSpec, told: bytes) -> "CacheRange":
        return cls(spec, np.frombuffer(told, np.float32).reshape(2, spec.kv_heads, spec.head_size))

    def to_bytes(self) -> bytes:
        return self.largest.tobytes()

    def add(self, qkv: np.ndarray) -> None:
        """float32 [T, qkv rows], before rotation."""
        spec, width = self.spec, self.spec.qkv_rows[1]
        key, value = qkv[:, -2 * width :].reshape(len(qkv), 2, spec.kv_heads, spec.head_size).transpose(1, 0, 2, 3)
        half = spec.rotary.dim // 2
        radius = np.hypot(key[..., :half], key[..., half : 2 * half]) * np.float32(spec.rotary.attention_factor)
        bounds = np.concatenate([radius, radius, key[..., 2 * half :]], axis=-1)
        self.largest = np.maximum(self.largest, [np.abs(part).max(axis=0) for part in (bounds, value)])

    @property
    def steps(self) -> CacheSteps:
        """The largest value becomes the highest level.

        Clipping at the 99.9th percentile gave the same KL within the noise (SmolLM2), and would not spare the few
        tokens with very large keys that attention rests on.
        """
        steps = self.largest / np.float32(LEVELS)
        floor = LEAST * steps.max(axis=(1, 2), keepdims=True)
        key, value = np.where(floor > 0, np.maximum(steps, floor), 1).astype(np.float32)
        return CacheSteps(key, value)


def rounded(rows: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """[kv heads, T, head size] as they are read from the cache."""
    units = steps[:, None]
    made: np.ndarray = np.clip(np.rint(rows / units), -LEVELS - 1, LEVELS) * units
    return made
