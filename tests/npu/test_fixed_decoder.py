"""The decoder in fixed shapes says what the decoder of the CPU says, whatever is padded and however a prompt is cut."""

from pathlib import Path

import numpy as np
import pytest

from edge.errors import CheckpointError
from edge.runtime.fixed_decoder import FixedDecoder
from export.npu.shapes import FixedShapes
from export.options import ExportOptions
from export.plan import plan_export
from tests.checkpoints import random_checkpoint
from tests.npu.fixed_graphs import TERMINAL, Exported, exported, on_cpu, relative_error

CHUNK, PAST = 16, 48
FLOAT = ExportOptions(bits=32)


def fixed_decoder(of: Exported, lora: str = "") -> FixedDecoder:
    mode = lora or "text"
    layers = {f"{mode}.chunk": of.layers(CHUNK, PAST, lora), f"{mode}.step": of.layers(1, PAST, lora)}
    graphs = {"embedding": of.embedding(), "head": of.head()} | layers
    return FixedDecoder(of.bundle.manifest.decoder, {name: on_cpu(file) for name, file in graphs.items()}.get, mode)


@pytest.fixture(scope="module", params=["phi3", "llama", "granite"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp(request.param)
    return exported(random_checkpoint(folder / "checkpoint", request.param), folder, FLOAT)


@pytest.mark.parametrize("count", [1, 5, 16, 17, 40])
def test_prompts_of_any_length_get_the_logits_of_the_cpu_decoder(model: Exported, count: int) -> None:
    ids = list(np.random.default_rng(count).integers(0, model.plan.spec.vocab_size, count))
    reference, fixed = model.decoder(), fixed_decoder(model)
    reference.reserve(count)
    expected = reference.prefill(ids, list(range(count)))
    assert relative_error(fixed.prefill(ids, list(range(count))), expected) < 1e-4


def test_an_answer_token_by_token_gets_the_logits_of_the_cpu_decoder(model: Exported) -> None:
    ids = list(np.random.default_rng(7).integers(0, model.plan.spec.vocab_size, 30))
    reference, fixed = model.decoder(), fixed_decoder(model)
    reference.reserve(30)
    expected = reference.prefill(ids, list(range(30)))
    fixed.prefill(ids[:20])
    for place in range(20, 30):
        assert relative_error(fixed.step(ids[place]), expected[place]) < 1e-4


def test_what_was_taken_back_leaves_no_trace(model: Exported) -> None:
    vocab = model.plan.spec.vocab_size
    fresh, used = fixed_decoder(model), fixed_decoder(model)
    used.prefill(list(np.random.default_rng(1).integers(0, vocab, PAST)))
    used.rewind(0)
    ids = [3, 5, 8, 13]
    assert (used.prefill(ids) == fresh.prefill(ids)).all()


def test_a_full_window_is_refused_and_stays_usable(model: Exported) -> None:
    fixed = fixed_decoder(model)
    fixed.prefill([1] * PAST)
    with pytest.raises(ValueError, match=f"window of {PAST}"):
        fixed.step(1)
    fixed.rewind(PAST - 1)
    assert np.isfinite(fixed.step(1)).all()


def test_a_sliding_window_smaller_than_the_fixed_one_is_refused(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "phi", "phi3", sliding_window=32)
    with pytest.raises(CheckpointError, match="looks back 32"):
        plan_export(checkpoint, ExportOptions(bits=32, fixed=FixedShapes(128)))


def test_blocks_that_do_not_fit_into_a_row_make_no_difference(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "narrow", "llama", hidden_size=48, intermediate_size=80)
    wide = exported(checkpoint, tmp_path, ExportOptions(4, 128, activation_bits=16))
    reference, fixed = wide.decoder(), fixed_decoder(wide)
    reference.reserve(8)
    # int16 activations on the other side
    assert relative_error(fixed.prefill(range(8)), reference.prefill(range(8))) < 1e-3


@pytest.mark.parametrize("options", [ExportOptions(4, 32, True), ExportOptions(8, 64)], ids=["int4", "int8"])
def test_an_adapter_and_media_go_in_as_on_the_cpu(tmp_path: Path, options: ExportOptions) -> None:
    terminal = exported(TERMINAL, tmp_path, options)
    reference, fixed = terminal.decoder(), fixed_decoder(terminal, "speech")
    reference.select("speech")
    reference.reserve(24)
    ids, rows = list(range(100, 124)), np.arange(4, 14)
    media = np.random.default_rng(2).standard_normal((10, 256)).astype(np.float32) * np.float32(0.05)
    expected, found = (one.prefill(ids, list(range(24)), media, rows) for one in (reference, fixed))
    # int8 activations on one side only
    assert relative_error(found, expected) < 0.03
