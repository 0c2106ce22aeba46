"""cos/sin tables of the rotary embedding, and which of LongRoPE's two regimes a sequence is in."""

import numpy as np

from edge.bundle.manifest import Rotary


class RotaryTables:
    """Tables float32 [positions, dim / 2] for the regime in force, made as long as needed."""

    def __init__(self, rotary: Rotary) -> None:
        self._rotary = rotary
        self.long = False
        self._positions = 0
        self.cos = self.sin = np.empty((0, rotary.dim // 2), np.float32)

    @property
    def short_limit(self) -> int | None:
        """Most tokens the short regime may hold, None when the model has only one regime."""
        return self._rotary.original_context if self._rotary.long_inv_freq else None

    def needs_long(self, tokens: int) -> bool:
        return self.short_limit is not None and tokens > self.short_limit

    def prepare(self, positions: int, long: bool) -> bool:
        """Makes tables for `positions`. True if they are new and must be bound again."""
        if long == self.long and positions <= self._positions:
            return False
        inverse = self._rotary.long_inv_freq if long else self._rotary.inv_freq
        # float32 like the reference implementation: the product's rounding is part of the model
        angles = np.outer(np.arange(positions, dtype=np.float32), np.array(inverse, np.float32))
        self.cos = np.cos(angles) * np.float32(self._rotary.attention_factor)
        self.sin = np.sin(angles) * np.float32(self._rotary.attention_factor)
        self.long, self._positions = long, positions
        return True
