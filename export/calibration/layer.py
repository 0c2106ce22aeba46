"""One decoder layer in numpy, the same mathematics as the graph of `export.graph.decoder`, cut open at its matrices."""

from dataclasses import dataclass

import numpy as np

from edge.runtime.rotary import RotaryTables
from export.architectures.spec import DecoderSpec
from export.calibration.cache import rounded
from export.graph.int8_cache import CacheSteps


@dataclass(frozen=True, slots=True)
class LayerMath:
    """Everything of a layer but its matrices. All arrays are float32, rows are the tokens of one sequence."""

    spec: DecoderSpec

    def normed(self, x: np.ndarray, gain: np.ndarray) -> np.ndarray:
        """RMS norm of [T, hidden]."""
        power = np.einsum("ij,ij->i", x, x) / x.shape[1]
        scale = 1 / np.sqrt(power + np.float32(self.spec.norm_epsilon))
        return x * scale[:, None].astype(np.float32) * gain

    def attended(self, qkv: np.ndarray, steps: CacheSteps | None = None) -> np.ndarray:
        """Causal grouped-query attention from the first token on: [T, qkv rows] -> [T, heads · head size]. With `steps`
        every key and value is read from an int8 cache, as it is for generated tokens."""
        spec = self.spec
        query, key, value = self.split(qkv)
        if steps:
            key, value = rounded(key, steps.key), rounded(value, steps.value)
        hidden = unseen(len(qkv), spec.sliding_window)
        out = np.empty_like(query)
        for head in range(spec.heads):
            shared = head // (spec.heads // spec.kv_heads)
            np.matmul(self.attention(query[head], key[shared], hidden), value[shared], out=out[head])
        return out.transpose(1, 0, 2).reshape(len(qkv), -1)

    def split(self, qkv: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[T, qkv rows] -> query, key, both rotated, and value: each [heads of its own, T, head size]."""
        spec, tokens = self.spec, len(qkv)
        inner, width = spec.qkv_rows[0], spec.qkv_rows[1]
        query, key, value = (
            part.reshape(tokens, -1, spec.head_size).transpose(1, 0, 2)
            for part in (qkv[:, :inner], qkv[:, inner : inner + width], qkv[:, inner + width :])
        )
        return self.rotated(query), self.rotated(key), value

    def attention(self, query: np.ndarray, key: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """How much each token of one head looks at each other: [T, T], from what `split` gave."""
        scores: np.ndarray = query @ key.T
        scores *= np.float32(self.scale)
        scores[hidden] = -np.inf
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    @property
    def scale(self) -> float:
        return self.spec.attention_scale or self.spec.head_size**-0.5

    def rotated(self, x: np.ndarray, back: bool = False) -> np.ndarray:
        """[heads, T, head size] by the angle of each position, or its transpose applied: `back`. Only the first
        dimensions are rotated where the embedding is partial."""
        tables = RotaryTables(self.spec.rotary)
        tables.prepare(x.shape[1], tables.needs_long(x.shape[1]))
        half = tables.cos.shape[1]
        first, second = x[..., :half], x[..., half : 2 * half]
        cos, sin = tables.cos[: x.shape[1]], -tables.sin[: x.shape[1]] if back else tables.sin[: x.shape[1]]
        return np.concatenate([first * cos - second * sin, second * cos + first * sin, x[..., 2 * half :]], axis=-1)

    def gated(self, both: np.ndarray) -> np.ndarray:
        """silu(gate) · up of [T, 2 · intermediate]."""
        gate, up = both[:, : self.spec.intermediate_size], both[:, self.spec.intermediate_size :]
        with np.errstate(over="ignore"):  # exp of a large number is inf, and silu then 0
            return gate / (1 + np.exp(-gate)) * up


def unseen(tokens: int, window: int) -> np.ndarray:
    """bool [T, T]: what a row must not look at."""
    row, column = np.arange(tokens)[:, None], np.arange(tokens)
    late = column > row
    return late | (column <= row - window) if window else late
