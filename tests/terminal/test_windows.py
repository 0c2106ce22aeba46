"""What the vision tower learns from: windows whose targets stand where the characters are."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch")

import torch

from benchmarks.terminal.training import glimpse
from benchmarks.terminal.training.seen import PATCH
from benchmarks.terminal.training.tower_stage import unpool
from benchmarks.terminal.training.windows import NAMES, Plate, cut_window, draw_plate
from edge.media.tiling import choose_tiling


def _spot(x: int, y: int, name: str) -> Plate:
    """Grey, with a dark spot of 24 pixels that stands for a character."""
    rgb = np.full((224, 448, 3), 170, np.uint8)
    rgb[y - 12 : y + 12, x - 12 : x + 12] = 20
    return Plate(rgb, np.array([[x, y]], np.float32), np.array([NAMES.index(name)]), 60.0)


@pytest.mark.parametrize("seed", range(20))
def test_a_character_is_named_in_the_patch_that_shows_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    window = cut_window(rng, _spot(int(rng.integers(60, 380)), int(rng.integers(50, 170)), "7"))
    grey = window.pixels.astype(float).mean(0)
    spot = np.abs(grey - np.median(grey)) > 40
    y, x = (float(places.mean()) / PATCH - 0.5 for places in np.nonzero(spot))
    near = np.argwhere(window.nearness > 0)
    assert 1 <= len(near) <= 4
    assert all(NAMES[window.classes[row, column]] == "7" for row, column in near)
    for row, column in near:
        expected = (1 - abs(row - y)) * (1 - abs(column - x))
        assert window.nearness[row, column] == pytest.approx(expected, abs=0.1)
    assert not window.points.any()


def test_a_point_is_told_apart_from_characters() -> None:
    plate = _spot(200, 100, "7")
    window = cut_window(np.random.default_rng(1), Plate(plate.rgb, plate.places, np.array([-1]), 60.0))
    assert window.points.any() and not window.nearness.any()


def test_a_plate_is_seen_anew_every_time() -> None:
    plate, rng = draw_plate(np.random.default_rng(2)), np.random.default_rng(3)
    first, second = cut_window(rng, plate), cut_window(rng, plate)
    assert not np.array_equal(first.pixels, second.pixels)
    assert set(first.classes[first.nearness > 0]) <= set(plate.classes)


def test_plates_hold_their_characters_and_units_within() -> None:
    rng = np.random.default_rng(4)
    named = set()
    for _ in range(40):
        plate = draw_plate(rng)
        height, width = plate.rgb.shape[:2]
        figures = plate.places[[NAMES[known].isdigit() for known in plate.classes]]
        assert (figures > -6).all() and (figures < (width + 6, height + 6)).all()
        named |= {NAMES[known] for known in plate.classes if known >= 0}
    assert set("0123456789") <= named and "LITRES" in named


def test_what_pooled_features_tell_goes_back_to_their_patches() -> None:
    told = torch.arange(2 * 3 * 8).view(1, 2, 3, 8)
    patches = unpool(told)
    assert patches.shape == (1, 4, 6, 2)
    for row in range(2):
        for column in range(3):
            quarters = told[0, row, column].view(2, 2, 2)
            assert torch.equal(patches[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2], quarters)


def test_a_glimpse_knows_a_character_in_the_overview_and_in_its_crop() -> None:
    tiling = choose_tiling(896, 448, 2, PATCH)
    assert (tiling.rows, tiling.columns) == (1, 2)
    found = glimpse._characters([("5", 600.0, 120.0, 30.0, 50.0)], tiling, (1.0, 1.0))
    places = {tuple(place): str(found[tuple(place)]) for place in np.argwhere(found != "")}
    assert places == {(0, 2, 5): "5", (2, 2, 2): "5"}


def test_a_glimpse_names_no_character_that_shares_its_feature_with_another() -> None:
    tiling = choose_tiling(896, 448, 2, PATCH)
    glyphs = [("5", 600.0, 120.0, 20.0, 50.0), (".", 610.0, 140.0, 5.0, 5.0), ("7", 645.0, 120.0, 20.0, 50.0)]
    found = glimpse._characters(glyphs, tiling, (1.0, 1.0))
    crop = {tuple(place): str(found[tuple(place)]) for place in np.argwhere(found != "") if place[0]}
    assert crop == {(2, 2, 2): "5", (2, 2, 3): "7"}, "apart in the crop; the point does not count"
    assert not (found[0] != "").any(), "together in the overview"
