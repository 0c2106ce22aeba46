"""The loop: make the KV cache hold the prompt, then sample until something ends the answer.

Knows ids, logits and regimes; text, stop strings and chat formats are the caller's.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from edge.events import Prefill, Reprefill
from edge.runtime.clock import Clock
from edge.runtime.decoder import CHUNK, TEXT
from edge.runtime.decoding import Decoding
from edge.runtime.media_tokens import MediaTokens, changed_media, media_between
from edge.runtime.sampling import Sampler, top_logprobs

Progress = Prefill | Reprefill


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
    """The prompt a decoder's KV cache stands for; `ids[:decoder.length]` are computed."""

    decoder: Decoding
    ids: list[int] = field(default_factory=list)
    media: list[MediaTokens] = field(default_factory=list)

    def reuse(self, prompt: list[int], media: list[MediaTokens] | None = None, graph: str = TEXT) -> int:
        """Takes `prompt` as the new content and keeps the cached common prefix. Returns its length.

        Another graph than before keeps nothing. The last prompt token is always computed again, because its logits
        are needed.
        """
        self.decoder.select(graph)
        common = 0
        for ours, theirs in zip(self.ids[: self.decoder.length], prompt[:-1], strict=False):
            if ours != theirs:
                break
            common += 1
        for start in changed_media(self.media, media or []):
            common = min(common, start)
        self.decoder.rewind(common)
        self.ids, self.media = list(prompt), media or []
        return common


def prefill(sequence: Sequence, max_new: int, bounded: bool) -> Iterator[Progress | np.ndarray]:
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


def _compute(sequence: Sequence) -> Iterator[Progress | np.ndarray]:
    decoder, ids = sequence.decoder, sequence.ids
    start, total = decoder.length, len(ids) - decoder.length
    logits = np.empty((0, 0), np.float32)
    while decoder.length < len(ids):
        end = min(decoder.length + CHUNK, len(ids))
        logits = decoder.prefill(ids[decoder.length : end], None, *media_between(sequence.media, decoder.length, end))
        yield Prefill(decoder.length - start, total)
    yield logits[0]


def extend(sequence: Sequence, token: int) -> Iterator[Progress | np.ndarray]:
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


def _regime_reason(decoder: Decoding, long: bool) -> str:
    direction = "longer than" if long else "again within"
    return f"the conversation is now {direction} {decoder.rotary.short_limit:,} tokens, other position factors apply"


def generate(
    sequence: Sequence,
    sampler: Sampler,
    stop_tokens: frozenset[int],
    max_new: int,
    bounded: bool,
    first_unused: int | None,
    constraint: LogitsFilter | None,
    clock: Clock,
    placeholders: tuple[int, ...] = (),
) -> Iterator[Progress | Sampled]:
    """Yields prefill progress, then one Sampled per token, at most `max_new`. Raises Cancelled from the decoder.

    Never sampled: ids from `first_unused` on, and `placeholders`, which would be taken for media in the next turn.
    """
    sampler.observe(sequence.ids)
    steps = prefill(sequence, max_new, bounded)
    for count in range(max_new):
        for item in steps:
            if isinstance(item, np.ndarray):
                logits = item
            else:
                yield item
        computed = time.monotonic()
        allowed = logits.copy()
        if first_unused is not None:
            allowed[first_unused:] = -np.inf
        allowed[list(placeholders)] = -np.inf
        sampled = _sample(allowed, sampler, stop_tokens, constraint)
        clock.token(computed)
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
    constraint: LogitsFilter | None,
) -> Sampled:
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
