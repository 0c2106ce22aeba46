"""python -m benchmarks.kv_cache FLOAT_BUNDLE INT8_BUNDLE: what `--kv-bits 8` changes when the context is long.

Both bundles are of the same checkpoint with the same weights. Speeds are those of alternating runs, float32 and int8 in
turn; perplexity is that of the last tokens of each window, read in calls so short that all keys and values come from
the cache, as they do for generated tokens.
"""

import statistics
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.fidelity.predictions import Fidelity, judge, logprobs
from benchmarks.fidelity.texts import evaluation_text
from edge.bundle.bundle import Bundle
from edge.prompt.tokenizer import Tokenizer
from edge.runtime.decoder import CHUNK, Decoder

SHORT = 16
"""Tokens of a call that reads the cache as it is."""

STEPS = 16
"""Generated tokens of one measurement."""


def seconds_of_prompt(decoder: Decoder, ids: np.ndarray) -> float:
    """Reads `ids` into an empty cache."""
    decoder.rewind(0)
    start = time.monotonic()
    for at in range(0, len(ids), CHUNK):
        decoder.prefill(ids[at : at + CHUNK])
    return time.monotonic() - start


def seconds_a_token(decoder: Decoder) -> float:
    """The median of some tokens behind what the cache holds; they are forgotten again."""
    context, seconds = decoder.length, []
    for _ in range(STEPS):
        start = time.monotonic()
        decoder.step(0)
        seconds.append(time.monotonic() - start)
    decoder.rewind(context)
    return statistics.median(seconds)


def resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


def speeds(decoders: list[Decoder], context: int, rounds: int) -> None:
    ids = np.random.default_rng(0).integers(0, decoders[0].info.vocab_size // 2, context)
    for decoder in decoders:
        decoder.prefill(ids[:CHUNK])  # warm
        before = resident()
        decoder.rewind(0)
        seconds_of_prompt(decoder, ids)
        held = sum(buffer.numpy().nbytes for buffer in decoder.cache.buffers.values())
        print(
            f"{decoder.info.kv_bits} bits: cache {held / 1e6:.1f} MB for {decoder.cache.capacity:,} tokens, "
            f"the prompt of {context:,} made the process {(resident() - before) / 1e6:.1f} MB larger",
            flush=True,
        )
    for name, measured in (
        ("prompt", lambda decoder: seconds_of_prompt(decoder, ids)),
        ("decode", seconds_a_token),
    ):
        times = [[measured(decoder) for decoder in decoders] for _ in range(rounds)]
        first, second = (statistics.median(column) for column in zip(*times, strict=True))
        ratios = ", ".join(f"{a / b:.2f}" for a, b in times)
        print(
            f"{name} at {context:,} tokens: float32 {first:.4f} s, int8 {second:.4f} s, "
            f"{first / second:.2f} times as fast (pairs {ratios})",
            flush=True,
        )


def continued(decoder: Decoder, scored: int, ids: np.ndarray) -> np.ndarray:
    """float32 [scored, vocab], logits of the last tokens of `ids`."""
    decoder.rewind(0)
    start = len(ids) - scored
    for at in range(0, start, CHUNK):
        decoder.prefill(ids[at : min(at + CHUNK, start)])
    parts = [ids[at : at + SHORT] for at in range(start, len(ids), SHORT)]
    return np.concatenate([decoder.prefill(part, np.arange(len(part))) for part in parts])


def fidelity(decoders: list[Decoder], ids: list[int], context: int, scored: int) -> Fidelity:
    pieces = [np.array(ids[at : at + context]) for at in range(0, len(ids) - context + 1, context)]
    if not pieces:
        raise SystemExit(f"the text has {len(ids):,} tokens, fewer than a context of {context:,}")
    exact, other = (logprobs(partial(continued, decoder, scored), pieces) for decoder in decoders)
    return judge([piece[-scored:] for piece in pieces], exact, other)


def main(
    float_bundle: Path,
    int8_bundle: Path,
    context: int = 4096,
    rounds: Annotated[int, typer.Option(help="Alternating pairs; 0 for no speeds.")] = 5,
    scored: Annotated[int, typer.Option(help="Predictions of a window; 0 for no perplexity.")] = 512,
    threads: int = 0,
) -> None:
    bundles = [Bundle.open(path) for path in (float_bundle, int8_bundle)]
    if [bundle.manifest.decoder.kv_bits for bundle in bundles] != [32, 8]:
        raise SystemExit("give a bundle with a float32 cache first, then one with an int8 cache")
    decoders = [Decoder.load(bundle, threads) for bundle in bundles]
    for decoder in decoders:
        decoder.reserve(context + STEPS)
    if rounds:
        speeds(decoders, context, rounds)
    if scored:
        ids = Tokenizer.from_file(bundles[0].file("tokenizer.json")).encode_text(evaluation_text())
        found = fidelity(decoders, ids, context, scored)
        print(
            f"{found.tokens} tokens at a context of {context:,}: perplexity {found.reference_perplexity:.4f}, "
            f"with int8 {found.perplexity:.4f} ({found.perplexity_ratio - 1:+.3%}), KL {found.kl_divergence:.5f}, "
            f"same first choice {found.top1_agreement:.1%}"
        )


if __name__ == "__main__":
    typer.run(main)
