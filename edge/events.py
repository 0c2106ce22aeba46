"""What a generation yields, in order: (Tiling), (ModeSwitch), Encode*, (LongContext), Prefill*, (Reprefill),
TextDelta*, ToolCall*, Done."""

from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


Mode = Literal["text", "speech", "vision", "vision_speech"]


def mode_of(pictures: bool, recordings: bool) -> Mode:
    """What a conversation with such media runs in."""
    if pictures:
        return "vision_speech" if recordings else "vision"
    return "speech" if recordings else "text"


@dataclass(frozen=True, slots=True)
class ModeSwitch:
    """From this turn on other adapters apply; what they read differently is computed again. The answer is exact."""

    before: Mode
    after: Mode
    tokens: int
    """Tokens of earlier turns that are read again, 0 when the modes share an adapter."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """What was chosen for a wanted time to first token: at most `max_crops` crops for each picture."""

    max_crops: int
    expected_ttft_s: float
    wanted_ttft_s: float


@dataclass(frozen=True, slots=True)
class Encode:
    """Progress of an encoder: `done` of `total` windows of speech or crops of a picture."""

    kind: Literal["speech", "vision"]
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class LongContext:
    """The conversation passes `limit` tokens, beyond which the model uses its position factors for long texts."""

    tokens: int
    limit: int


@dataclass(frozen=True, slots=True)
class Prefill:
    """Progress of reading the prompt: `done` of `total` tokens are in the KV cache."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Reprefill:
    """The whole context is computed again, because of `reason`; the answer is unaffected."""

    tokens: int
    reason: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer; always whole UTF-8 characters. `logprobs` has one entry per token it covers."""

    text: str
    logprobs: tuple["TokenLogprob", ...] = ()


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Natural-log probability of a sampled token before temperature and filters, and the best alternatives."""

    token: int
    text: str
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one turn; `reused_tokens` of the prompt were already in the KV cache."""

    prompt_tokens: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0
    completion_tokens: int = 0
    reused_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    ttft_s: float = 0.0
    encode_s: float = 0.0
    prefill_tokens_per_s: float = 0.0
    decode_tokens_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    text: str
    finish_reason: FinishReason
    mode: Mode = "text"
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    timing: Timing = field(default_factory=Timing)


Event = Tiling | ModeSwitch | Encode | LongContext | Prefill | Reprefill | TextDelta | ToolCall | Done
