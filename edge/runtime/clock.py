"""When the parts of a turn began and ended."""

import time
from dataclasses import dataclass, field

from edge.events import Timing


@dataclass(slots=True)
class Clock:
    """Monotonic seconds: the turn started, media were encoded, the prompt was read, the last token came."""

    start: float = field(default_factory=time.monotonic)
    read_from: float = 0.0
    prefilled: float = 0.0
    last: float = 0.0

    def encoded(self) -> None:
        self.read_from = time.monotonic()

    def token(self, computed: float) -> None:
        """A token was sampled now, from logits that were there at `computed`."""
        self.prefilled = self.prefilled or computed
        self.last = time.monotonic()

    def timing(self, prompt_tokens: int, new_tokens: int) -> Timing:
        """Speeds for `prompt_tokens` that were really computed and `new_tokens` answered."""
        read_from = self.read_from or self.start
        prompt_s = (self.prefilled or time.monotonic()) - read_from
        decode_s = self.last - self.prefilled
        return Timing(
            ttft_s=read_from - self.start + prompt_s,
            encode_s=read_from - self.start,
            prefill_tokens_per_s=prompt_tokens / prompt_s if prompt_s > 0 else 0.0,
            decode_tokens_per_s=(new_tokens - 1) / decode_s if new_tokens > 1 and decode_s > 0 else 0.0,
        )
