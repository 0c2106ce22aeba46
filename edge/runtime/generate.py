"""The loop: make the KV cache hold the prompt, then sample until something ends the answer.

Knows ids, logits and regimes; text, stop strings and chat formats are the caller's.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from edge.events import Prefill, Reprefill
from edge.runtime.decoder import CHUNK, Decoder
from edge.runtime.sampling import Sampler, top_logprobs


class LogitsFilter(Protocol):
    """Grammar-constrained decoding."""

    def apply(self, logits: np.ndarray) -> None: ...
    def accept(self, token: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Sampled:
    """One new token; `stops` when it is a stop token. `top` are alternatives if log-probabilities were asked for."""

    token: int
    stops: bool
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


@dataclass(slots=True)
class Sequence:
    """The ids a decoder's KV cache stands for; `ids[:decoder.length]` are computed."""

    decoder: Decoder
    ids: list[int] = field(default_factory=list)

    def reuse(self, prompt: list[int]) -> int:
        """Takes `prompt` as the new content and keeps the cached common prefix. Returns its length.

        The last prompt token is always computed again, because its logits are needed.
        """
        common = 0
        for ours, theirs in zip(self.ids[: self.decoder.length], prompt[:-1], strict=False):
            if ours != theirs:
                break
            common += 1
        self.decoder.rewind(common)
        self.ids = list(prompt)
        return common


def prefill(sequence: Sequence, max_new: int, bounded: bool) -> Iterator[Prefill | Reprefill | np.ndarray]:
    """Computes what the cache lacks, in chunks; the last item is the logits of the last token.

    With `bounded` answers (a max_tokens the user gave) the rotary regime is chosen for prompt + max_new at once;
    otherwise it is chosen for the prompt, and `extend` re-prefills if the answer crosses the border.
    """
    decoder, ids = sequence.decoder, sequence.ids
    long = decoder.rotary.needs_long(len(ids) + (max_new if bounded else 0))
    cached = decoder.length
    if cached and long != decoder.rotary.long:
        yield Reprefill(len(ids), _regime_reason(decoder, long))
    decoder.reserve(len(ids) + min(max_new, CHUNK), long)
    yield from _compute(sequence)


def _compute(sequence: Sequence) -> Iterator[Prefill | Reprefill | np.ndarray]:
    decoder, ids = sequence.decoder, sequence.ids
    start, total = decoder.length, len(ids) - decoder.length
    logits = np.empty((0, 0), np.float32)
    while decoder.length < len(ids):
        logits = decoder.prefill(ids[decoder.length : decoder.length + CHUNK])
        yield Prefill(decoder.length - start, total)
    yield logits[0]


def extend(sequence: Sequence, token: int) -> Iterator[Prefill | Reprefill | np.ndarray]:
    """Appends a token; the last item is its logits. Announces a re-prefill when the rotary regime must change."""
    decoder = sequence.decoder
    sequence.ids.append(token)
    length = len(sequence.ids)
    if decoder.rotary.needs_long(length) and not decoder.rotary.long:
        yield Reprefill(length, _regime_reason(decoder, True))
        decoder.reserve(length + CHUNK, True)
        yield from _compute(sequence)
        return
    decoder.reserve(length, decoder.rotary.long)
    yield decoder.step(token)


def _regime_reason(decoder: Decoder, long: bool) -> str:
    direction = "longer than" if long else "again within"
    return f"the conversation is now {direction} {decoder.rotary.short_limit:,} tokens, other position factors apply"


@dataclass(slots=True)
class Clock:
    """When the prompt started, was read, and the last token came (monotonic seconds)."""

    start: float = field(default_factory=time.monotonic)
    prefilled: float = 0.0
    last: float = 0.0


def generate(
    sequence: Sequence,
    sampler: Sampler,
    stop_tokens: frozenset[int],
    max_new: int,
    bounded: bool,
    first_unused: int | None,
    constraint: LogitsFilter | None,
    clock: Clock,
) -> Iterator[Prefill | Reprefill | Sampled]:
    """Yields prefill progress, then one Sampled per token, at most `max_new`. Raises Cancelled from the decoder."""
    sampler.observe(sequence.ids)
    steps = prefill(sequence, max_new, bounded)
    for count in range(max_new):
        for item in steps:
            if isinstance(item, np.ndarray):
                logits = item
            else:
                yield item
        now = time.monotonic()
        clock.prefilled = clock.prefilled or now
        sampled = _sample(logits.copy(), sampler, stop_tokens, first_unused, constraint)
        clock.last = time.monotonic()
        yield sampled
        if sampled.stops:
            return
        sampler.observe([sampled.token])
        if count + 1 < max_new:
            steps = extend(sequence, sampled.token)
        else:
            sequence.ids.append(sampled.token)


def _sample(
    logits: np.ndarray,
    sampler: Sampler,
    stop_tokens: frozenset[int],
    first_unused: int | None,
    constraint: LogitsFilter | None,
) -> Sampled:
    if first_unused is not None:
        logits[first_unused:] = -np.inf
    wanted = sampler.options.logprobs
    raw = logits.copy() if wanted is not None else logits
    if constraint:
        constraint.apply(logits)
    token = sampler.pick(logits)
    if constraint:
        constraint.accept(token)
    if wanted is None:
        return Sampled(token, token in stop_tokens)
    logprob, top = top_logprobs(raw, token, wanted)
    return Sampled(token, token in stop_tokens, logprob, top)
