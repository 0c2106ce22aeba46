"""Calibration of a model with ears and eyes: each mode through its own encoders, projectors and adapters."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.errors import CheckpointError, InputError
from export.calibration import text_flow
from export.calibration.texts import DEFAULT_MEDIA
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from export.weights import encode
from quant.channel import quantise_channels
from tests.multimodal_checkpoints import write_native

OPTIONS = ExportOptions(named="balanced")
UP = "model.embed_tokens_extend.image_embed.img_projection_up.weight"


@pytest.fixture(autouse=True)
def few_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_flow, "LEARNED", 6)
    monkeypatch.setattr(text_flow, "HELD_OUT", 2)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_native(tmp_path_factory.mktemp("calibrated") / "checkpoint")


def test_every_mode_is_measured_and_its_adapter_is_calibrated(checkpoint: Path, tmp_path: Path) -> None:
    run_export(plan_export(checkpoint, OPTIONS), tmp_path / "bundle")
    told = json.loads((tmp_path / "bundle" / "fidelity.json").read_bytes())
    assert set(told["modes"]) == {"text", "speech", "vision"}
    for mode in told["modes"].values():
        assert 0 < mode["kl"] < 0.25 and mode["tokens"] > 100
    for name in ("layers.0.v", "lora.speech.layers.0.qkv.A", "lora.vision.layers.1.down.B"):
        assert 0 < told["errors"][name] < 0.2


def own_recordings(folder: Path, count: int) -> Path:
    """As `edge listen --keep` leaves them when there is no camera."""
    folder.mkdir()
    names = [f"say-{number:02d}.ogg" for number in range(1, count + 1)]
    for name in names:
        shutil.copy(DEFAULT_MEDIA / name, folder)
    (folder / "labels.jsonl").write_text(
        "".join(json.dumps({"audio": name, "answer": "Yes."}) + "\n" for name in names)
    )
    return folder


def test_two_recordings_of_ones_own_are_enough_and_pictures_are_those_of_the_default_set(
    checkpoint: Path, tmp_path: Path
) -> None:
    options = ExportOptions(named="balanced", calibration=own_recordings(tmp_path / "kept", 2))
    run_export(plan_export(checkpoint, options), tmp_path / "bundle")
    modes = json.loads((tmp_path / "bundle" / "fidelity.json").read_bytes())["modes"]
    assert set(modes) == {"text", "speech", "vision"} and 0 < modes["speech"]["tokens"] < modes["vision"]["tokens"]


def test_one_recording_cannot_be_learned_from_and_measured_with(checkpoint: Path, tmp_path: Path) -> None:
    options = ExportOptions(named="balanced", calibration=own_recordings(tmp_path / "kept", 1))
    with pytest.raises(InputError, match="one line for the mode speech"):
        run_export(plan_export(checkpoint, options), tmp_path / "bundle")


def test_one_damaged_matrix_of_a_projector_is_noticed_in_its_mode(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_export(checkpoint, OPTIONS)
    rows = plan.checkpoint.tensors[UP].shape
    wrong = plan.checkpoint.rows(UP, 0, rows[0])

    def damaged(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, scales = quantise_channels(weights)
        return (values, scales * 30) if weights.shape == wrong.shape and (weights == wrong).all() else (values, scales)

    monkeypatch.setattr(encode, "quantise_channels", damaged)
    with pytest.raises(CheckpointError, match="in the mode vision, what the vision_projector makes would be"):
        run_export(plan, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
