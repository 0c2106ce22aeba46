"""Speed of a loaded model on this machine: prompt and decode tokens per second, by prompt length."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge.runtime.decoder import CHUNK
from edge.runtime.decoding import Decoding


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: `prompt` random tokens into an empty cache, then `new` greedy tokens."""

    prompt: int
    new: int
    ttft_s: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Minimum, median and maximum over the rounds."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(min(values), statistics.median(values), max(values))


def measure(
    decoder: Decoding, prompts: list[int], new: int, rounds: int, after: Callable[[Sample], None] = lambda _: None
) -> list[Sample]:
    """Rounds outermost, so that slow drifts of the machine hit every length alike."""
    vocab = decoder.info.vocab_size
    ids = np.random.default_rng(0).integers(0, vocab, max(prompts))
    samples = []
    for _ in range(rounds):
        for prompt in prompts:
            sample = _run(decoder, ids[:prompt], new)
            samples.append(sample)
            after(sample)
    return samples


def _run(decoder: Decoding, ids: np.ndarray, new: int) -> Sample:
    decoder.rewind(0)
    decoder.reserve(len(ids) + new)
    start = time.monotonic()
    logits = np.empty((1, 0), np.float32)
    for at in range(0, len(ids), CHUNK):
        logits = decoder.prefill(ids[at : at + CHUNK])
    token = int(logits[0].argmax())
    first = time.monotonic()
    for _ in range(new):
        token = int(decoder.step(token).argmax())
    end = time.monotonic()
    return Sample(len(ids), new, first - start, len(ids) / (first - start), new / (end - first))
