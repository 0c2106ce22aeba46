"""Every export is measured: the figures are those of the bundle, damage is found and named, and little is asked for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.fidelity.compare import compare
from edge.bundle.verify import verify
from edge.errors import CheckpointError, ResourceError
from export.calibration import text_flow
from export.calibration.prompts import Prompts
from export.calibration.space import require_scratch
from export.exporter import Progress, run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.checkpoints import config, random_checkpoint, tensors, write_checkpoint
from tests.export.exported import decoder, export, float_decoder
from tests.multimodal_checkpoints import write_native


@pytest.fixture(autouse=True)
def few_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_flow, "LEARNED", 6)
    monkeypatch.setattr(text_flow, "HELD_OUT", 2)


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_native(tmp_path_factory.mktemp("checkpoints") / "multimodal")


def told(bundle: Path) -> dict[str, Any]:
    return dict(json.loads((bundle / "fidelity.json").read_bytes()))


def damaged(plan: Any, out: Path, name: str) -> Callable[[Progress], None]:
    """As soon as everything is written, the values of a weight become noise on the disk."""
    (weight,) = (one for one in plan.weights if one.source.name == name)
    last, section = plan.weights[-1].source.name, weight.values

    def progress(step: Progress) -> None:
        if step.name == last and step.done_bytes == step.total_bytes:
            (weights,) = out.parent.glob(f".{out.name}.resume-*/weights.bin")
            noise = np.random.default_rng(0).integers(0, 256, section.length, np.uint8)
            with weights.open("r+b", buffering=0) as file:
                file.seek(section.offset)
                file.write(noise.tobytes())

    return progress


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("llama", ExportOptions(fidelity=True)),
        ("phi3", ExportOptions(symmetric=True, block=32, activation_bits=16, fidelity=True)),
    ],
)
def test_what_a_plain_export_measures_is_what_the_bundle_does(
    kind: str, options: ExportOptions, tmp_path: Path
) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", kind, original_max_position_embeddings=512)
    bundle = export(checkpoint, tmp_path / "bundle", options)
    (tmp_path / "again").mkdir()
    flow = text_flow.text_flow(Prompts(plan_export(checkpoint, options), tmp_path / "again"), tmp_path / "again")
    held_out = [token for span in flow.spans if span.held_out for token in span.ids]
    measured = compare(float_decoder(checkpoint), decoder(bundle), held_out)
    text = told(bundle)["modes"]["text"]
    assert text["kl"] == pytest.approx(measured.kl_divergence, rel=0.1)
    assert text["exact_perplexity"] == pytest.approx(measured.reference_perplexity, rel=1e-3)
    assert text["perplexity"] == pytest.approx(measured.perplexity, rel=5e-3)


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        ("speech.projector.speech.up", "in the mode speech, what the speech_projector makes"),
        ("speech.projector.vision.down", "in the mode vision, what the vision_speech_projector makes"),
        ("embedding", "in the mode text, what the embedding makes"),
        ("layers.1.down", r"what the matrix layers\.1\.down makes"),
        ("lora.speech.layers.2.qkv.B", r"what the matrix lora\.speech\.layers\.2\.qkv\.B makes"),
        ("layers.0.qkv.int8", r"what the matrix layers\.0\.qkv\.int8 makes"),
    ],
)
def test_one_damaged_tensor_fails_the_export_and_is_named(
    multimodal: Path, tmp_path: Path, weight: str, words: str
) -> None:
    plan = plan_export(multimodal, ExportOptions(bits=8, fast_prefill=weight.endswith(".int8"), fidelity=True))
    with pytest.raises(CheckpointError, match=words + r" would be \d+% off"):
        run_export(plan, tmp_path / "bundle", damaged(plan, tmp_path / "bundle", weight))
    assert not list(tmp_path.glob("*bundle*")), "nothing is left, not even a hidden directory"


def test_all_modes_are_measured_and_equal_exports_are_equal(multimodal: Path, tmp_path: Path) -> None:
    one, other = (export(multimodal, tmp_path / n / "bundle", ExportOptions(fidelity=True)) for n in ("one", "other"))
    assert (one / "bundle.json").read_bytes() == (other / "bundle.json").read_bytes()
    assert verify(one).ok
    report = told(one)
    assert list(report["modes"]) == ["text", "speech", "vision"]
    assert list(report["modes"]["vision"]["before"])[:2] == ["vision_encoder", "vision_projector"]
    for mode in report["modes"].values():
        growth = np.diff([0, *mode["drift"]])
        assert next(iter(mode["worst_layers"].values())) == pytest.approx(max(growth))
        assert 0 <= mode["kl"] < 1 and len(mode["data"]) == 64
    assert next(iter(report["worst_matrices"].values())) == max(report["errors"].values())


def test_a_calibrated_export_is_measured_with_the_same_data(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", "llama", num_hidden_layers=1)
    wishes = {"plain": ExportOptions(fidelity=True), "calibrated": ExportOptions(named="fast")}
    one, other = (told(export(checkpoint, tmp_path / n, wish))["modes"]["text"] for n, wish in wishes.items())
    assert one["data"] == other["data"]
    assert one["exact_perplexity"] == pytest.approx(other["exact_perplexity"], rel=1e-6)


def test_an_unquantised_export_says_nothing(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", "llama")
    report = run_export(plan_export(checkpoint, ExportOptions(bits=32, fidelity=True)), tmp_path / "bundle")
    assert report.fidelity is None
    assert not (tmp_path / "bundle" / "fidelity.json").exists()


def test_an_export_killed_while_it_measures_goes_on(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", "llama")
    options = ExportOptions(fidelity=True)

    def interrupted(progress: Progress) -> None:
        if progress.name == "measured layers.1.gate_up":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_export(plan_export(checkpoint, options), tmp_path / "bundle", interrupted)
    resumed = run_export(plan_export(checkpoint, options), tmp_path / "bundle")
    whole = run_export(plan_export(checkpoint, options), tmp_path / "whole")
    assert resumed.resumed_bytes > 0
    assert told(tmp_path / "bundle") == told(tmp_path / "whole")
    assert resumed.weights_sha256 == whole.weights_sha256


def test_a_model_without_a_chat_format_and_with_a_short_context_is_measured_with_prose(tmp_path: Path) -> None:
    cfg = config("llama", max_position_embeddings=16)
    checkpoint = write_checkpoint(tmp_path / "checkpoint", cfg, tensors(cfg))
    file = checkpoint / "tokenizer.json"
    file.write_text(file.read_text().replace("<|assistant|>", "<|robot|>"))
    report = run_export(plan_export(checkpoint, ExportOptions(fidelity=True)), tmp_path / "bundle")
    assert report.fidelity and report.fidelity.modes["text"].tokens == 2 * 16
    (note,) = report.fidelity.notes
    assert note.startswith("conversations are not measured: ")


def test_a_tokenizer_that_knows_none_of_our_words_is_no_obstacle(tmp_path: Path) -> None:
    cfg = config("llama", vocab_size=16)
    checkpoint = write_checkpoint(tmp_path / "checkpoint", config("llama", vocab_size=512), tensors(cfg))
    (checkpoint / "config.json").write_text(json.dumps(cfg))
    words = {"type": "WordLevel", "vocab": {f"w{n}": n for n in range(16)}, "unk_token": "<unk>"}
    (checkpoint / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": words}))
    (checkpoint / "generation_config.json").write_text(json.dumps({"eos_token_id": 3}))
    report = run_export(plan_export(checkpoint, ExportOptions(fidelity=True)), tmp_path / "bundle")
    assert report.fidelity and not report.fidelity.modes
    (note,) = report.fidelity.notes
    assert note.startswith("nothing is measured: ")


def test_an_export_without_room_to_measure_is_refused_with_numbers(tmp_path: Path) -> None:
    plan = plan_export(random_checkpoint(tmp_path / "checkpoint", "llama"), ExportOptions(fidelity=True))
    # 128 columns twice and 256 once, four bytes each, exact and seen, and 16 MiB to spare
    wanted = r"checkpoint with 1,000,000,000,000 tokens needs 4096\.0 TB, but .* has .* free"
    with pytest.raises(ResourceError, match=wanted):
        require_scratch(plan, tmp_path, 10**12, ())
