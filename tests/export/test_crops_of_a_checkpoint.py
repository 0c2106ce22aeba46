"""The patch size and the number of crops that a checkpoint states reach the bundle that is made of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge.bundle.manifest import VisionInfo
from edge.errors import CheckpointError
from export.manifest import build_manifest
from export.options import ExportOptions
from export.plan import plan_export
from tests.media.reference_images import Phi4MultimodalImageProcessor
from tests.multimodal_checkpoints import convert_to_original, native_config, write_native

ALL_PROCESSORS, ONE_PROCESSOR = "processor_config.json", "preprocessor_config.json"


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One model with patches of 28 pixels; tests copy it before a change."""
    place = tmp_path_factory.mktemp("crops")
    native = write_native(place / "native", vision_config=native_config()["vision_config"] | {"patch_size": 28})
    return {"native": native, "original": convert_to_original(native, place / "original")}


@pytest.fixture(params=["native", "original"])
def checkpoint(request: pytest.FixtureRequest, layouts: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(layouts[request.param], tmp_path / "checkpoint")


@pytest.fixture
def native(layouts: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(layouts["native"], tmp_path / "native")


def planned(checkpoint: Path) -> VisionInfo:
    vision = build_manifest(plan_export(checkpoint, ExportOptions()), "planned").vision
    assert vision
    return vision


def test_without_a_processors_config_crops_are_those_of_the_released_model(checkpoint: Path) -> None:
    assert (planned(checkpoint).patch_size, planned(checkpoint).max_crops) == (28, 36)


def test_the_number_of_crops_is_read_from_what_transformers_saves(checkpoint: Path) -> None:
    Phi4MultimodalImageProcessor(dynamic_hd=2, patch_size=28).save_pretrained(checkpoint)
    assert (checkpoint / ONE_PROCESSOR).is_file()
    assert (planned(checkpoint).patch_size, planned(checkpoint).max_crops) == (28, 2)


@pytest.mark.parametrize(
    ("newer", "older", "crops"),
    [
        ({"image_processor": {"dynamic_hd": 4}}, {"dynamic_hd": 9}, 4),
        ({"processor_class": "Phi4MultimodalProcessor"}, {"dynamic_hd": 9}, 9),
        ({"image_processor": {"dynamic_hd": 4}}, None, 4),
        ({"image_processor": {"patch_size": 28}}, None, 36),
        (None, {"dynamic_hd": None}, 36),
    ],
)
def test_the_image_processors_section_of_the_newer_file_comes_first(
    newer: dict[str, Any] | None, older: dict[str, Any] | None, crops: int, native: Path
) -> None:
    for name, values in ((ALL_PROCESSORS, newer), (ONE_PROCESSOR, older)):
        if values is not None:
            (native / name).write_text(json.dumps(values))
    assert planned(native).max_crops == crops


def test_another_number_of_crops_is_another_checkpoint(native: Path) -> None:
    """So that a partial export is not resumed with it."""
    before = plan_export(native, ExportOptions()).fingerprint()
    (native / ONE_PROCESSOR).write_text('{"dynamic_hd": 2}')
    assert plan_export(native, ExportOptions()).fingerprint() != before


@pytest.mark.parametrize("value", [0, -1, 257, 2.0, "2", True, [2]])
@pytest.mark.parametrize("name", [ALL_PROCESSORS, ONE_PROCESSOR])
def test_a_number_of_crops_that_cannot_be_is_refused_with_the_file_it_stands_in(
    name: str, value: object, native: Path
) -> None:
    told = {"dynamic_hd": value}
    (native / name).write_text(json.dumps({"image_processor": told} if name == ALL_PROCESSORS else told))
    with pytest.raises(CheckpointError, match=f"^{name}.*dynamic_hd is"):
        plan_export(native, ExportOptions())


@pytest.mark.parametrize("text", ["{", "[]", '{"image_processor": 3}', "\0"])
def test_a_damaged_processors_config_is_refused_by_its_name(text: str, native: Path) -> None:
    (native / ALL_PROCESSORS).write_text(text)
    with pytest.raises(CheckpointError, match=ALL_PROCESSORS):
        plan_export(native, ExportOptions())


@pytest.mark.parametrize(("field", "value"), [("patch_size", 16), ("patch_size", 4), ("crop_size", 224)])
def test_crops_and_patches_that_the_runtime_cannot_make_are_refused_with_those_it_can(
    field: str, value: int, native: Path
) -> None:
    config = json.loads((native / "config.json").read_text())
    config["vision_config"][field] = value
    config["vision_config"]["image_size"] = config["vision_config"]["crop_size"]
    (native / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="not what the runtime makes") as refused:
        plan_export(native, ExportOptions())
    assert "crop_size 448" in refused.value.hint and "28" in refused.value.hint
