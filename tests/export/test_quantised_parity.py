"""A quantised bundle computes with exactly the weights that were packed: transformers, given those, agrees."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.options import ExportOptions
from quant.formats import BlockFormat
from quant.packing import dequantise
from quant.rtn import quantise_rows
from tests.checkpoints import config, tensors, write_checkpoint
from tests.export.exported import decoder, export
from tests.export.reference import reference_logits, reference_model

WIDTHS: dict[str, dict[str, Any]] = {
    "whole blocks": {},
    "padded last blocks": {"hidden_size": 144, "intermediate_size": 200},
}


def restored(weights: dict[str, np.ndarray], fmt: BlockFormat) -> dict[str, np.ndarray]:
    """Every matrix as the runtime sees it after quantisation."""
    found = {
        key: dequantise(quantise_rows(value, fmt), fmt, value.shape[1]) if value.ndim == 2 else value
        for key, value in weights.items()
    }
    # safetensors writes the memory of an array, whatever its strides
    return {key: np.ascontiguousarray(value) for key, value in found.items()}


def error_of(options: ExportOptions, widths: dict[str, Any], tmp_path: Path) -> float:
    """Relative error of the logits against transformers on the restored weights."""
    cfg = config("llama", **widths)
    weights = tensors(cfg)
    checkpoint = write_checkpoint(tmp_path / "model", cfg, weights)
    fmt = BlockFormat(options.bits, options.block, options.symmetric)
    reference = reference_model(write_checkpoint(tmp_path / "restored", cfg, restored(weights, fmt)))
    ours = decoder(export(checkpoint, tmp_path / "bundle", options))
    ids = np.random.default_rng(0).integers(0, 500, 40).tolist()
    ours.reserve(len(ids))
    logits = np.concatenate([ours.prefill(ids[:33], list(range(33))), *(ours.step(i)[None].copy() for i in ids[33:])])
    expected = reference_logits(reference, ids)
    return float(np.linalg.norm(logits - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("symmetric", [False, True], ids=["asymmetric", "symmetric"])
@pytest.mark.parametrize(("bits", "block"), [(4, 32), (4, 128), (8, 32), (8, 128)])
@pytest.mark.parametrize("widths", WIDTHS)
def test_logits_are_those_of_the_restored_weights(
    widths: str, bits: int, block: int, symmetric: bool, tmp_path: Path
) -> None:
    options = ExportOptions(bits, block, symmetric, activation_bits=16)
    assert error_of(options, WIDTHS[widths], tmp_path) <= 1e-3


@pytest.mark.parametrize(("bits", "block"), [(4, 128), (8, 32)])
def test_int8_activations_cost_a_few_percent_at_most(bits: int, block: int, tmp_path: Path) -> None:
    """On a random model, which averages nothing out."""
    assert error_of(ExportOptions(bits, block, activation_bits=8), {}, tmp_path) <= 0.05
