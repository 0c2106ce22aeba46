import itertools
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import InputError, UsageError
from edge.media.crop_sizes import PATCH_SIZES
from edge.media.tiling import FIRST_FEATURE, OVERVIEW_START, ROW_END, Tiling, assembly, choose_tiling
from tests.media.reference_images import Phi4MultimodalImageProcessor

SIDES = st.integers(1, 20_000)
CROPS = st.integers(1, 36)


def tiling_or_none(width: int, height: int, max_crops: int, patch_size: int = 14) -> Tiling | None:
    try:
        return choose_tiling(width, height, max_crops, patch_size)
    except InputError:
        return None


def test_token_counts_of_whole_grids_follow_the_published_formula():
    for rows, columns in [(1, 1), (3, 3), (2, 3), (4, 4), (5, 5), (6, 6), (36, 1), (1, 36)]:
        tiling = choose_tiling(448 * columns, 448 * rows)
        assert (tiling.rows, tiling.columns) == (rows, columns)
        assert tiling.tokens == 256 * rows * columns + 16 * rows + 273
    assert choose_tiling(448, 448).tokens == 545
    assert choose_tiling(1344, 1344).tokens == 2625


def test_patches_of_twice_the_side_make_a_quarter_of_the_features():
    """8 x 8 features a crop, and as many row ends as rows of them."""
    for rows, columns in [(1, 1), (1, 2), (2, 1), (3, 2)]:
        tiling = choose_tiling(448 * columns, 448 * rows, patch_size=28)
        assert (tiling.side, tiling.pooled) == (16, 8)
        assert tiling.tokens == 64 * rows * columns + 8 * rows + 1 + 64 + 8


@pytest.mark.parametrize("patch_size", [14, 28])
def test_sizes_masks_and_tokens_equal_the_reference_for_many_sizes(patch_size: int):
    """The reference resizes as well, so its pictures are one pixel seen many times."""
    processor, side = Phi4MultimodalImageProcessor(), 448 // patch_size
    draw = random.Random(0)
    log_side = lambda: round(math.exp(draw.uniform(math.log(8), math.log(9000))))  # noqa: E731
    sizes = [(log_side(), log_side()) for _ in range(60)]
    sizes += [(30, 20), (448, 448), (449, 448), (448, 449), (1344, 1344), (2688, 2688), (2689, 2688), (9000, 250)]
    for width, height in sizes:
        max_crops = draw.choice([36, 36, 16, 4, 2, 1])
        picture = torch.full((1, 1, 1), 7, dtype=torch.uint8).expand(3, height, width)
        try:
            padded, mask = processor.dynamic_preprocess(picture, 448, patch_size, side, max_num=max_crops)
        except (ValueError, RuntimeError):  # "very extreme", or a side of 0 pixels
            assert tiling_or_none(width, height, max_crops) is None
            continue
        tiling = choose_tiling(width, height, max_crops, patch_size)
        assert tiling.image_size == tuple(padded.shape[-2:]), (width, height)
        plane = tiling.mask()[1:].reshape(tiling.rows, tiling.columns, side, side).swapaxes(1, 2).reshape(mask.shape)
        assert (plane == mask.numpy().astype(bool)).all(), (width, height)
        useful = mask[0::2, 0::2]
        overview = (side // 2) ** 2 + side // 2
        assert tiling.tokens == int(useful.sum()) + int(useful[:, 0].sum()) + 1 + overview, (width, height)


@pytest.mark.parametrize("max_crops", [1, 2, 3, 5, 8, 12, 20, 36])
def test_the_grid_is_the_references_also_for_ratios_half_way_between_two_grids(max_crops: int):
    processor = Phi4MultimodalImageProcessor()
    pairs = {(i, j) for i in range(1, max_crops + 1) for j in range(1, max_crops + 1) if i * j <= max_crops}
    targets = sorted(pairs, key=lambda pair: pair[0] * pair[1])
    ratios = sorted({i / j: (i, j) for i, j in targets}.items())
    for (_, (i, j)), (_, (m, n)) in itertools.pairwise(ratios):
        across, down = i * n + m * j, 2 * j * n
        least = next(  # smaller pictures keep their own grid
            scale
            for scale in itertools.count(1)
            if math.ceil(across * scale / 448) * math.ceil(down * scale / 448) > max_crops
        )
        for scale in (least, least + 1, 2 * least, 7 * least):
            width, height = across * scale, down * scale
            expected = processor.find_closest_aspect_ratio(width / height, targets, width, height, 448)
            tiling = tiling_or_none(width, height, max_crops)
            assert tiling is None or (tiling.columns, tiling.rows) == expected


@given(SIDES, SIDES, CROPS, st.sampled_from(PATCH_SIZES))
def test_every_token_is_one_feature_of_the_image_once_or_a_separator(
    width: int, height: int, max_crops: int, patch_size: int
):
    tiling = tiling_or_none(width, height, max_crops, patch_size)
    if tiling is None:
        return
    order = assembly(tiling)
    assert order.dtype == np.int64 and order.shape == (tiling.tokens,)
    features = order[order >= FIRST_FEATURE] - FIRST_FEATURE
    pooled = 448 // patch_size // 2
    crop, place = np.divmod(features, pooled**2)
    used = np.zeros((tiling.crops, pooled, pooled), int)
    np.add.at(used, (crop, place // pooled, place % pooled), 1)
    assert (used == tiling.mask()[:, 0::2, 0::2]).all()
    assert (order == OVERVIEW_START).sum() == 1
    filled = used[1:].any(axis=2).reshape(tiling.rows, tiling.columns, pooled)
    assert (order == ROW_END).sum() == filled[:, 0].sum() + pooled


@given(SIDES, SIDES, CROPS)
def test_the_image_fits_its_grid_and_keeps_its_shape(width: int, height: int, max_crops: int):
    tiling = tiling_or_none(width, height, max_crops)
    if tiling is None:
        return
    assert tiling.rows * tiling.columns <= max_crops
    assert 10 <= tiling.height <= tiling.image_size[0] and 10 <= tiling.width <= tiling.image_size[1]
    assert 0 in tiling.padding
    scale = max(tiling.width / width, tiling.height / height)
    assert abs(tiling.width - width * scale) <= 1 + 1e-6 and abs(tiling.height - height * scale) <= 1 + 1e-6
    if math.ceil(width / 448) * math.ceil(height / 448) <= max_crops:
        assert scale >= 1 - 1e-9


def test_rows_run_over_the_whole_width_of_the_grid():
    """A grid of 1 x 2 crops by hand: row r is 16 features of crop 1, 16 of crop 2, a row end."""
    order = assembly(choose_tiling(896, 448)).tolist()
    for row in range(16):
        first, second = 2 + 256 + 16 * row, 2 + 512 + 16 * row
        assert order[33 * row : 33 * row + 33] == [*range(first, first + 16), *range(second, second + 16), 0]
    assert order[33 * 16] == 1
    overview = order[33 * 16 + 1 :]
    assert [overview[17 * row : 17 * row + 17] for row in range(16)] == [
        [*range(2 + 16 * row, 18 + 16 * row), 0] for row in range(16)
    ]


def test_an_image_too_narrow_for_the_model_is_refused_with_its_size():
    for width, height in [(20000, 2), (3, 5000), (1, 60000)]:
        with pytest.raises(InputError, match=f"{width} x {height} pixels is too narrow") as refusal:
            choose_tiling(width, height)
        assert refusal.value.hint and refusal.value.exit_code == 4
    assert choose_tiling(16128, 10).height == 10


def test_impossible_requests_are_refused():
    with pytest.raises(InputError):
        choose_tiling(0, 5)
    for crops in (0, -1):
        with pytest.raises(UsageError):
            choose_tiling(5, 5, crops)
