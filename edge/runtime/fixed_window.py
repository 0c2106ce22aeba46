"""What graphs of fixed shapes need beside the tokens: a window of keys and values, and a mask over it."""

import numpy as np

from edge.bundle.manifest import DecoderInfo

HIDDEN = np.float32(-1e4)
"""Added to a score that must not count. -inf would be NaN where a row sees nothing, and has no step in uint16."""


class FixedWindow:
    """Keys and values float32 [1, kv_heads, size, head_size] by input name, of which the first `length` are valid."""

    def __init__(self, info: DecoderInfo, size: int) -> None:
        self.size, self.length = size, 0
        shape = (1, info.kv_heads, size, info.head_size)
        self.past = {
            f"past.{layer}.{kind}": np.zeros(shape, np.float32)
            for layer in range(info.layers)
            for kind in ("key", "value")
        }

    def mask(self, tokens: int) -> np.ndarray:
        """float32 [1, 1, tokens, size + tokens]: what is valid, and of the call's own tokens those up to each."""
        mask = np.full((1, 1, tokens, self.size + tokens), HIDDEN)
        mask[..., : self.length] = 0
        mask[..., self.size :] = np.where(np.tri(tokens, dtype=bool), np.float32(0), HIDDEN)
        return mask

    def append(self, new: dict[str, np.ndarray], count: int) -> None:
        """The first `count` rows of a call's "new.N.key|value" [1, kv_heads, tokens, head_size]."""
        for name, rows in new.items():
            self.past[name.replace("new", "past")][:, :, self.length : self.length + count] = rows[:, :, :count]
        self.length += count
