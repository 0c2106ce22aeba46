"""Calibrated exports: what is measured on the way is what the bundle does, a stop changes no byte, a bad one fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fidelity.compare import compare
from edge.errors import CheckpointError, InputError, UsageError
from export.calibration import text_flow
from export.calibration.prompts import Prompts
from export.calibration.solved import SolvedWeights
from export.exporter import Progress, run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.checkpoints import random_checkpoint
from tests.export.exported import decoder, export, float_decoder


@pytest.fixture(autouse=True)
def few_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_flow, "LEARNED", 6)
    monkeypatch.setattr(text_flow, "HELD_OUT", 2)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return random_checkpoint(tmp_path / "checkpoint", "llama")


OPTIONS = ExportOptions(named="balanced")
save = SolvedWeights.save


def told(bundle: Path) -> dict[str, Any]:
    return dict(json.loads((bundle / "fidelity.json").read_bytes()))


def held_out(checkpoint: Path, folder: Path, options: ExportOptions) -> list[int]:
    """The tokens that the export measures with, in sequences of 512."""
    folder.mkdir()
    flow = text_flow.text_flow(Prompts(plan_export(checkpoint, options), folder), folder)
    return [token for span in flow.spans if span.held_out for token in span.ids]


@pytest.mark.parametrize("kind", ["llama", "granite", "phi3"])
def test_what_the_export_measures_is_what_the_bundle_does(kind: str, tmp_path: Path) -> None:
    options = ExportOptions(named="fast")
    checkpoint = random_checkpoint(tmp_path / "checkpoint", kind, original_max_position_embeddings=512)
    bundle = export(checkpoint, tmp_path / "bundle", options)
    measured = compare(float_decoder(checkpoint), decoder(bundle), held_out(checkpoint, tmp_path / "again", options))
    text = told(bundle)["modes"]["text"]
    assert text["kl"] == pytest.approx(measured.kl_divergence, rel=0.1)
    assert text["exact_perplexity"] == pytest.approx(measured.reference_perplexity, rel=1e-3)
    assert text["perplexity"] == pytest.approx(measured.perplexity, rel=5e-3)


def test_a_killed_export_goes_on_and_ends_with_the_same_bytes(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ExportOptions(named="balanced")
    whole = run_export(plan_export(checkpoint, options), tmp_path / "whole")
    fidelity = told(tmp_path / "whole")

    def interrupted(progress: Progress) -> None:
        if progress.name == "calibrated layers.1.gate_up":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_export(plan_export(checkpoint, options), tmp_path / "bundle", interrupted)
    solved: list[str] = []
    monkeypatch.setattr(SolvedWeights, "save", lambda self, name, *rest: (solved.append(name), save(self, name, *rest)))
    resumed = run_export(plan_export(checkpoint, options), tmp_path / "bundle")
    assert resumed.weights_sha256 == whole.weights_sha256
    assert told(tmp_path / "bundle") == fidelity
    assert "layers.0.down" not in solved and "layers.1.qk" not in solved and "layers.2.down" in solved


def test_a_bundle_that_loses_too_much_is_not_made(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"the mode text would lose too much: KL .* most is lost in layer \d"):
        run_export(plan_export(checkpoint, ExportOptions(named="balanced", max_kl=1e-9)), tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"], "nothing is left, not even a hidden directory"


def test_values_are_kept_in_eight_bits_in_a_matrix_of_their_own(checkpoint: Path) -> None:
    formats = {weight.source.name: weight.source.format for weight in plan_export(checkpoint, OPTIONS).weights}
    assert (formats["layers.0.v"].bits, formats["layers.0.qk"].bits, formats["layers.0.down"].bits) == (8, 4, 4)
    assert "layers.0.qkv" not in formats


def test_own_texts_are_learned_from(checkpoint: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "manual.md").write_text("Open the valve slowly. " * 400)
    export(checkpoint, tmp_path / "default", OPTIONS)
    export(checkpoint, tmp_path / "own", ExportOptions(named="balanced", calibration=texts))
    assert told(tmp_path / "own")["errors"] != told(tmp_path / "default")["errors"]


def test_an_interrupted_export_does_not_go_on_with_other_texts(checkpoint: Path, tmp_path: Path) -> None:
    manual = tmp_path / "texts" / "manual.md"
    manual.parent.mkdir()
    options = ExportOptions(named="balanced", calibration=manual.parent)

    def interrupted(progress: Progress) -> None:
        if progress.name == "calibrated layers.1.gate_up":
            raise KeyboardInterrupt

    manual.write_text("Open the valve slowly. " * 400)
    with pytest.raises(KeyboardInterrupt):
        run_export(plan_export(checkpoint, options), tmp_path / "bundle", interrupted)
    manual.write_text("Close the lid before you start. " * 400)
    for name in ("bundle", "whole"):
        run_export(plan_export(checkpoint, options), tmp_path / name)
    assert told(tmp_path / "bundle")["errors"] == told(tmp_path / "whole")["errors"]


def test_a_recipe_heeds_the_other_wishes(checkpoint: Path) -> None:
    options = ExportOptions(named="faithful", symmetric=True, activation_bits=16, head_bits=4)
    formats = {weight.source.name: weight.source.format for weight in plan_export(checkpoint, options).weights}
    down, head = formats["layers.0.down"], formats["embedding"]
    assert (down.bits, down.symmetric, down.activation_bits, head.bits) == (4, True, 16, 4)
    with pytest.raises(UsageError, match="encoders of 5 bits"):
        ExportOptions(named="faithful", encoder_bits=5).recipe()


def test_a_folder_without_texts_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    with pytest.raises(InputError, match="holds no text"):
        export(checkpoint, tmp_path / "bundle", ExportOptions(named="balanced", calibration=tmp_path / "texts"))
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ExportOptions(named="best"), "no recipe 'best'"),
        (ExportOptions(named="fast", bits=8), "decides about the bits itself"),
        (ExportOptions(calibration=Path("texts")), "need a recipe"),
    ],
)
def test_a_wish_that_means_nothing_is_refused(checkpoint: Path, options: ExportOptions, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        plan_export(checkpoint, options)


@pytest.mark.parametrize(("width", "block"), [(128, 128), (192, 64), (160, 32)])
def test_blocks_are_as_large_as_fits_without_padding(tmp_path: Path, width: int, block: int) -> None:
    changes = {"hidden_size": width, "num_attention_heads": 4, "head_dim": 32, "intermediate_size": 256}
    checkpoint = random_checkpoint(tmp_path / "checkpoint", "llama", **changes)
    formats = {weight.source.name: weight.source.format for weight in plan_export(checkpoint, OPTIONS).weights}
    assert (formats["layers.0.qk"].block, formats["layers.0.down"].block) == (block, 128)
