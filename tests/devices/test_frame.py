"""A camera's picture on the disk, and as the model sees it."""

import time
from pathlib import Path

import numpy as np
import pytest

from edge.devices.frame import Frame, seen_by_model
from edge.errors import EdgeError, UsageError
from edge.media.crops import image_crops
from edge.media.image_file import read_image
from edge.media.tiling import choose_tiling

PICTURE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)


def test_a_saved_png_holds_the_same_pixels_and_nothing_else_is_left(tmp_path: Path) -> None:
    Frame(PICTURE, 0.0, 1).save(tmp_path / "seen.png")
    assert np.array_equal(read_image(tmp_path / "seen.png"), PICTURE)
    assert [path.name for path in tmp_path.iterdir()] == ["seen.png"]


def test_a_saved_jpeg_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "seen.JPG"
    path.write_bytes(b"older")
    smooth = np.broadcast_to(np.arange(90, dtype=np.uint8)[:, None] * np.array([2, 1, 0], np.uint8), (60, 90, 3))
    Frame(smooth, 0.0, 1).save(path)
    assert abs(read_image(path).astype(int) - smooth).max() < 12


@pytest.mark.parametrize("name", ["seen", "seen.gif", "seen.png.txt"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no picture"):
        Frame(PICTURE, 0.0, 1).save(tmp_path / name)


def test_a_missing_folder_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EdgeError):
        Frame(PICTURE, 0.0, 1).save(tmp_path / "missing" / "seen.png")


def test_a_frame_knows_its_age() -> None:
    assert Frame(PICTURE, time.monotonic() - 5, 1).age_s >= 5


@pytest.mark.parametrize(("height", "width", "max_crops", "patch_size"), [(480, 640, 36, 14), (720, 1280, 4, 28)])
def test_what_the_model_sees_is_what_its_crops_hold(height: int, width: int, max_crops: int, patch_size: int) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    tiling = choose_tiling(width, height, max_crops, patch_size)
    grid = image_crops(picture, tiling).pixels()[1:].reshape(tiling.rows, tiling.columns, 3, 448, 448)
    whole = grid.transpose(0, 3, 1, 4, 2).reshape(*tiling.image_size, 3)
    pixels = np.round((whole[: tiling.height, : tiling.width] + 1) * 127.5).astype(np.uint8)
    assert np.array_equal(seen_by_model(picture, max_crops, patch_size), pixels)
