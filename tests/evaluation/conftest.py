"""A small random multimodal bundle in two precisions, and a folder of labelled inputs of every mode."""

import json
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.multimodal_checkpoints import write_native

TOOLS = [{"name": "stop", "parameters": {"line": {"type": "int", "description": ""}}}]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_native(tmp_path_factory.mktemp("evaluation") / "native")


@pytest.fixture(scope="session")
def bundle(checkpoint: Path) -> Path:
    run_export(plan_export(checkpoint, ExportOptions(bits=32)), checkpoint.with_name("precise"))
    return checkpoint.with_name("precise")


@pytest.fixture(scope="session")
def coarse(checkpoint: Path) -> Path:
    run_export(plan_export(checkpoint, ExportOptions()), checkpoint.with_name("coarse"))
    return checkpoint.with_name("coarse")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording, a picture and tools; the test writes the labels."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    samples = (8000 * np.sin(np.arange(16_000) * 0.3)).astype("<i2")
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    cv2.imwrite(str(folder / "x.png"), np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
    (folder / "tools.json").write_text(json.dumps(TOOLS))
    return folder
