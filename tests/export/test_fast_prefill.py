"""`--fast-prefill`: a second, int8 copy of the Linear layers reads prompts; everything else stays what it was."""

from pathlib import Path

import numpy as np
import pytest

from edge.bundle.bundle import Bundle
from edge.runtime.decoder import FAST_TOKENS, Decoder
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from quant.channel import quantise_channels
from tests.checkpoints import config, tensors, write_checkpoint
from tests.export.reference import reference_logits, reference_model

PROMPT = np.random.default_rng(3).integers(0, 500, 60).tolist()


@pytest.fixture(scope="module")
def fast_bundle(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "fast"
    run_export(plan_export(phi3_checkpoint, ExportOptions(bits=32, fast_prefill=True)), out)
    return out


def logits_of(decoder: Decoder, *chunks: list[int]) -> np.ndarray:
    """Logits of every token, read in these chunks."""
    decoder.rewind(0)
    decoder.reserve(sum(map(len, chunks)), False)
    return np.concatenate([decoder.prefill(chunk, list(range(len(chunk)))) for chunk in chunks])


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_int8_channels_restore_every_weight_within_half_a_step() -> None:
    weights = np.random.default_rng(0).standard_normal((40, 300)).astype(np.float32)
    weights[3] *= 1000
    weights[7] = 0
    values, scales = quantise_channels(weights)
    assert values.dtype == np.int8 and values.min() >= -127
    assert np.all(np.abs(values * scales[:, None] - weights) <= 0.5001 * scales[:, None])


def test_prompts_are_read_with_the_restored_int8_weights(tmp_path: Path) -> None:
    """transformers on the rounded matrices agrees up to the rounding of activations."""
    cfg = config("llama")
    weights = tensors(cfg)
    linear = {name for name in weights if "_proj" in name}
    rounded = {}
    for name, value in weights.items():
        values, scales = quantise_channels(value) if name in linear else (value, np.ones(len(value), np.float32))
        rounded[name] = values * scales[:, None] if name in linear else value
    reference = reference_model(write_checkpoint(tmp_path / "rounded", cfg, rounded))
    checkpoint = write_checkpoint(tmp_path / "model", cfg, weights)
    run_export(plan_export(checkpoint, ExportOptions(bits=32, fast_prefill=True)), tmp_path / "out")
    found = logits_of(Decoder.load(Bundle.open(tmp_path / "out")), PROMPT)
    expected = reference_logits(reference, PROMPT)
    assert relative(found, expected) < 0.03


def test_prompts_and_single_tokens_share_one_kv_cache(fast_bundle: Path, phi3_float_bundle: Path) -> None:
    exact = logits_of(Decoder.load(Bundle.open(phi3_float_bundle)), PROMPT)
    decoder = Decoder.load(Bundle.open(fast_bundle))
    short = [[token] for token in PROMPT[40:]]
    found = logits_of(decoder, PROMPT[:40], *short)
    assert relative(found, exact) < 0.05
    assert relative(found, exact) > 1e-4, "the prompt was not read by the int8 graph"


def test_a_token_reads_the_same_whatever_stands_beside_it_in_the_chunk(fast_bundle: Path) -> None:
    """One step for a whole chunk would make the answer depend on how the prompt was cut."""
    decoder = Decoder.load(Bundle.open(fast_bundle))
    whole = logits_of(decoder, PROMPT)
    cut = logits_of(decoder, PROMPT[:FAST_TOKENS], PROMPT[FAST_TOKENS:])
    assert relative(cut, whole) < 1e-5


def test_short_calls_do_not_use_the_int8_copy(fast_bundle: Path, phi3_float_bundle: Path) -> None:
    short = PROMPT[: FAST_TOKENS - 1]
    exact = logits_of(Decoder.load(Bundle.open(phi3_float_bundle)), short)
    assert np.array_equal(logits_of(Decoder.load(Bundle.open(fast_bundle)), short), exact)


def test_the_other_weights_are_the_same_bytes_with_and_without(fast_bundle: Path, phi3_float_bundle: Path) -> None:
    plain = (phi3_float_bundle / "weights.bin").read_bytes()
    fast = (fast_bundle / "weights.bin").read_bytes()
    assert fast[: len(plain)] == plain and len(fast) > len(plain)
    assert (fast_bundle / "text.onnx").read_bytes() == (phi3_float_bundle / "text.onnx").read_bytes()
