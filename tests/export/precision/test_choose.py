"""What the export thinks a format costs is what it costs, and outliers are met where they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fidelity.compare import compare
from export.calibration import text_flow
from export.calibration.prompts import Prompts
from export.exporter import Progress, run_export
from export.options import ExportOptions
from export.plan import plan_export
from export.precision.matrix_costs import Costs
from export.precision.sensitivity import Sensitivity
from quant.formats import BlockFormat
from tests.checkpoints import config, random_checkpoint, tensors, write_checkpoint
from tests.export.exported import decoder, export, float_decoder

INT4, INT8 = BlockFormat(4, 32), BlockFormat(8, 32)


@pytest.fixture(autouse=True)
def few_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_flow, "LEARNED", 6)
    monkeypatch.setattr(text_flow, "HELD_OUT", 2)
    monkeypatch.setattr(text_flow, "LENGTH", 256)


def told(bundle: Path) -> dict[str, Any]:
    return dict(json.loads((bundle / "precision.json").read_bytes())["matrices"])


def held_out(checkpoint: Path, folder: Path) -> list[int]:
    folder.mkdir()
    flow = text_flow.text_flow(Prompts(plan_export(checkpoint, ExportOptions(named="balanced")), folder), folder)
    return [token for span in flow.spans if span.held_out for token in span.ids]


def measured(checkpoint: Path, folder: Path) -> tuple[Costs, list[int]]:
    """Costs of int4 and int8, and tokens to try them on."""
    folder.mkdir()
    plan = plan_export(checkpoint, ExportOptions(named="balanced"))
    flow = text_flow.text_flow(Prompts(plan, folder), folder)
    found = Sensitivity(plan.spec, plan.checkpoint, plan.by_role, [flow], lambda name, columns: [INT4, INT8]).measure()
    return found, [token for span in flow.spans for token in span.ids]


@pytest.mark.parametrize("kind", ["llama", "granite", "phi3"])
@pytest.mark.parametrize("matrix", ["layers.0.attention_out", "layers.1.down", "layers.1.qk"])
def test_a_cost_is_about_what_the_runtime_loses(kind: str, matrix: str, tmp_path: Path) -> None:
    """Of one matrix in int4, all others exact. To second order, and from one drawn token each: within two thirds."""
    checkpoint = random_checkpoint(tmp_path / "checkpoint", kind)
    costs, tokens = measured(checkpoint, tmp_path / "costs")
    options = ExportOptions(bits=32)
    bundle = tmp_path / "bundle"
    run_export(plan_export(checkpoint, options, {matrix: INT4}), bundle)
    lost = compare(float_decoder(checkpoint), decoder(bundle), tokens).kl_divergence
    expected = costs[matrix][INT4]
    assert lost / 3 < expected.weights + expected.inputs < 3 * lost
    assert costs[matrix][INT8].weights < expected.weights / 50


def outliers(checkpoint: Path, size: float) -> Path:
    """The same function, but a channel of what two matrices of a layer read is `size` times as large."""
    cfg = config("llama", num_hidden_layers=4)
    weights = tensors(cfg)
    prefix = "model.layers.1."
    weights[f"{prefix}post_attention_layernorm.weight"][7] *= size
    for name in ("mlp.gate_proj", "mlp.up_proj"):
        weights[f"{prefix}{name}.weight"][:, 7] /= size
    return write_checkpoint(checkpoint, cfg, weights)


def test_where_inputs_have_outliers_they_are_read_more_exactly_and_nowhere_else(tmp_path: Path) -> None:
    checkpoint = outliers(tmp_path / "checkpoint", 3000.0)
    clean = outliers(tmp_path / "clean", 1.0)
    int8 = ExportOptions(bits=8, activation_bits=8)
    chosen = export(checkpoint, tmp_path / "chosen", ExportOptions(named="balanced", bits_per_weight=9.0, max_kl=10))
    raised = [name for name, of in told(chosen).items() if of["activation_bits"] == 16]
    assert raised == ["layers.1.gate_up"], "one of twenty: all others stay fast"
    tokens = held_out(checkpoint, tmp_path / "again")
    exact = float_decoder(checkpoint)
    plain_loss = compare(exact, decoder(export(checkpoint, tmp_path / "plain", int8)), tokens)
    clean_loss = compare(exact, decoder(export(clean, tmp_path / "plain-clean", int8)), tokens)
    chosen_loss = compare(exact, decoder(chosen), tokens)
    assert plain_loss.kl_divergence > 20 * clean_loss.kl_divergence
    assert plain_loss.top1_agreement < clean_loss.top1_agreement - 0.1
    assert plain_loss.kl_divergence > 20 * chosen_loss.kl_divergence
    assert chosen_loss.top1_agreement > clean_loss.top1_agreement - 0.03


@pytest.mark.parametrize("activations", [None, 16])
def test_choices_stand_in_the_bundle_and_are_what_it_holds(tmp_path: Path, activations: int | None) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", "llama")
    options = ExportOptions(named="faithful", activation_bits=activations, max_kl=10)
    bundle = export(checkpoint, tmp_path / "bundle", options)
    matrices = told(bundle)
    assert {of["bits"] for name, of in matrices.items() if name.endswith(".v")} == {8}
    weights = (tmp_path / "bundle" / "text.onnx").read_bytes()
    for name in matrices:
        assert name.encode() in weights or name.replace(".qk", ".qkv").encode() in weights
    assert activations is None or {of["activation_bits"] for of in matrices.values()} == {16}
    assert all(of["nats"] <= of["nats_with_least_bits"] for of in matrices.values())


def test_a_killed_export_measures_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", "llama")
    options = ExportOptions(named="faithful", max_kl=10)
    whole = run_export(plan_export(checkpoint, options), tmp_path / "whole")

    def interrupted(progress: Progress) -> None:
        if progress.name.startswith("calibrated"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_export(plan_export(checkpoint, options), tmp_path / "bundle", interrupted)
    monkeypatch.setattr(Sensitivity, "measure", lambda self: pytest.fail("measured again"))
    resumed = run_export(plan_export(checkpoint, options), tmp_path / "bundle")
    assert resumed.weights_sha256 == whole.weights_sha256
    assert told(tmp_path / "bundle") == told(tmp_path / "whole")
