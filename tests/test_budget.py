"""Choosing the tiling for a wanted time to first token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.budget import crops_within
from edge.media.tiling import choose_tiling
from edge.runtime.speeds import Speeds

SPEEDS = Speeds(crop_s=1.0, prefill_tokens_per_s=100.0)


def test_the_estimate_is_crops_and_tokens_at_the_measured_speeds() -> None:
    # 3 x 3 crops and the overview: 10 crops and 2,625 tokens
    assert crops_within(100.0, SPEEDS, [(1344, 1344)], 75) == (36, pytest.approx(10 + 27.0))


def test_a_picture_that_cannot_be_in_time_gets_the_coarsest_tiling() -> None:
    crops, expected = crops_within(0.1, SPEEDS, [(1344, 1344)], 0)
    assert crops == 1
    assert expected == pytest.approx(2 + 5.45)


def test_no_more_crops_are_considered_than_the_model_knows_and_tokens_follow_its_patches() -> None:
    # 1 x 2 crops and the overview, 8 x 8 features each
    assert crops_within(100.0, SPEEDS, [(1280, 640)], 0, most=2, patch_size=28) == (2, pytest.approx(3 + 2.09))


@given(
    st.floats(0.1, 200),
    st.lists(st.tuples(st.integers(100, 4000), st.integers(100, 4000)), min_size=1, max_size=3),
    st.integers(0, 3000),
)
def test_what_fits_is_in_time_and_one_crop_more_would_not_be_finer_and_in_time(
    seconds: float, sizes: list[tuple[int, int]], others: int
) -> None:
    def expected(max_crops: int) -> float:
        tilings = [choose_tiling(*size, max_crops) for size in sizes]
        return SPEEDS.seconds(sum(one.crops for one in tilings), others + sum(one.tokens for one in tilings))

    chosen, told = crops_within(seconds, SPEEDS, sizes, others)
    assert told == expected(chosen)
    assert told <= seconds or chosen == 1
    assert all(expected(finer) > seconds for finer in range(chosen + 1, 37))
