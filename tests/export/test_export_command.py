"""What a user of `edge export` sees: plan, report, exit codes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints import config, tensors, write_checkpoint
from tests.export.command import edge_export, error_lines


@pytest.fixture
def copy(phi3_checkpoint: Path, tmp_path: Path) -> Path:
    return shutil.copytree(phi3_checkpoint, tmp_path / "model")


def test_a_good_export_shows_its_plan_and_reports_as_json(tmp_path: Path) -> None:
    cfg = config("llama", num_hidden_layers=1)
    extra = {"model.vision.weight": np.ones((2, 2), np.float32)}
    checkpoint = write_checkpoint(tmp_path / "model", cfg, tensors(cfg) | extra)
    done = edge_export(checkpoint, tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    size = sum(file.stat().st_size for file in (tmp_path / "out").iterdir() if file.name != "bundle.json")
    assert report["bytes"] == size and report["resumed_bytes"] == 0 and report["peak_rss_bytes"] > 1 << 20
    assert "int4, block 128, asymmetric" in done.stderr
    assert report["unused_tensors"] == ["model.vision.weight"] and "model.vision.weight" in done.stderr


def test_the_plan_alone_writes_nothing(phi3_checkpoint: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    done = edge_export(phi3_checkpoint, place / "out", "--plan")
    assert done.returncode == 0, done.stderr
    assert list(place.iterdir()) == []


def cut(copy: Path) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def nan_config(copy: Path) -> None:
    (copy / "config.json").write_text('{"model_type": "phi3", "hidden_size": NaN}')


def foreign(copy: Path) -> None:
    (copy / "config.json").write_text(json.dumps(config("phi3") | {"model_type": "mamba"}))


@pytest.mark.parametrize(("damage", "words"), [(cut, "model.safetensors"), (nan_config, "NaN"), (foreign, "mamba")])
def test_a_bad_checkpoint_is_exit_3_and_one_sentence(copy: Path, tmp_path: Path, damage, words: str) -> None:
    damage(copy)
    done = edge_export(copy, tmp_path / "out")
    assert done.returncode == 3
    message, hint = error_lines(done)
    assert words in message and hint.startswith("  next: ")
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == []


def test_an_existing_target_is_exit_2(phi3_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    done = edge_export(phi3_checkpoint, tmp_path / "out")
    assert done.returncode == 2
    assert "already exists" in error_lines(done)[0]


def test_a_format_the_runtime_does_not_have_is_exit_2(phi3_checkpoint: Path, tmp_path: Path) -> None:
    for flags in (("--bits", "5"), ("--block", "48"), ("--target", "tpu"), ("--max-ram", "lots")):
        done = edge_export(phi3_checkpoint, tmp_path / "out", *flags)
        assert done.returncode == 2, flags
        error_lines(done)
