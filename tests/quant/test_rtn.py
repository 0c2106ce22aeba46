"""What round-to-nearest promises about every weight, also about strange ones."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quant.formats import BlockFormat
from quant.packing import dequantise
from quant.rtn import quantise_rows
from tests.quant.formats_under_test import ALL_FORMATS, name, weights

ROUNDING = 1.001
"""float32 rounding of scale and product, relative to half a step."""

every_format = pytest.mark.parametrize("fmt", ALL_FORMATS, ids=name)
ASYMMETRIC = [fmt for fmt in ALL_FORMATS if not fmt.symmetric]
SYMMETRIC = [fmt for fmt in ALL_FORMATS if fmt.symmetric]


def errors_in_steps(matrix: np.ndarray, fmt: BlockFormat) -> np.ndarray:
    """|w - restored w| / scale for every weight whose value the block's levels can reach."""
    packed = quantise_rows(matrix, fmt)
    columns = matrix.shape[1]
    restored = dequantise(packed, fmt, columns)
    scales = np.repeat(packed.scales, fmt.block, axis=1)[:, :columns].astype(np.float64)
    wide = matrix.astype(np.float64)
    if fmt.symmetric:
        top = (1 << (fmt.bits - 1)) - 1
        reachable = wide * np.sign(scales) <= top * np.abs(scales)
    else:
        reachable = np.ones_like(wide, bool)
    steps = np.abs(wide - restored) / np.where(scales == 0, 1, np.abs(scales))
    return np.where(reachable, steps, 0)


@every_format
@pytest.mark.parametrize("columns", [128, 576, 700])
def test_no_weight_is_off_by_more_than_half_a_step(fmt: BlockFormat, columns: int) -> None:
    assert errors_in_steps(weights(40, columns), fmt).max() <= 0.5 * ROUNDING


LIMIT = float(np.float32(1e30))
normal_numbers = st.floats(-LIMIT, LIMIT, width=32, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-30)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 140)), elements=normal_numbers),
    st.sampled_from(ALL_FORMATS),
)
def test_half_a_step_holds_for_any_numbers(matrix: np.ndarray, fmt: BlockFormat) -> None:
    assert errors_in_steps(matrix, fmt).max() <= 0.5 * ROUNDING


@every_format
def test_zero_stays_exactly_zero(fmt: BlockFormat) -> None:
    matrix = weights(20, 300)
    matrix[:, ::7] = 0
    matrix[3] = 0
    restored = dequantise(quantise_rows(matrix, fmt), fmt, 300)
    assert not restored[matrix == 0].any()


@pytest.mark.parametrize("fmt", SYMMETRIC, ids=name)
def test_the_largest_weight_of_a_symmetric_block_is_exact(fmt: BlockFormat) -> None:
    matrix = weights(30, fmt.block)
    restored = dequantise(quantise_rows(matrix, fmt), fmt, fmt.block)
    largest = np.abs(matrix).argmax(axis=1)
    np.testing.assert_array_equal(restored[np.arange(30), largest], matrix[np.arange(30), largest])


@every_format
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 33), max_size=6))
def test_the_result_does_not_depend_on_how_rows_are_cut(fmt: BlockFormat, cuts: list[int]) -> None:
    matrix = weights(33, 200)
    whole = quantise_rows(matrix, fmt)
    borders = sorted({0, 33, *cuts})
    parts = [quantise_rows(matrix[a:b], fmt) for a, b in itertools.pairwise(borders)]
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), whole.values)
    np.testing.assert_array_equal(np.concatenate([part.scales for part in parts]), whole.scales)
    if whole.zero_points is not None:
        points = [part.zero_points for part in parts if part.zero_points is not None]
        np.testing.assert_array_equal(np.concatenate(points), whole.zero_points)


@every_format
def test_quantising_does_not_change_its_input(fmt: BlockFormat) -> None:
    matrix = weights(4, 256)
    before = matrix.copy()
    quantise_rows(matrix, fmt)
    np.testing.assert_array_equal(matrix, before)


STRANGE = {
    "all zero": np.zeros(128),
    "negative zeros": np.full(128, -0.0),
    "constant": np.full(128, 0.37),
    "constant negative": np.full(128, -3e-5),
    "one weight": np.eye(1, 128)[0],
    "one huge outlier": np.r_[1e30, np.full(127, 1e-3)],
    "both ends of float32": np.r_[np.full(64, 1.6e38), np.full(64, -1.6e38)],
    "denormal": np.full(128, 1e-40),
    "smallest denormal": np.r_[1.4e-45, np.zeros(127)],
    "just above denormal": np.linspace(-1.2e-38, 1.2e-38, 128),
}


@every_format
@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.filterwarnings("error")
def test_strange_blocks_give_finite_weights_near_the_original(fmt: BlockFormat, kind: str) -> None:
    matrix = STRANGE[kind].astype(np.float32)[None]
    packed = quantise_rows(matrix, fmt)
    restored = dequantise(packed, fmt, 128)
    assert np.isfinite(packed.scales).all()
    assert np.isfinite(restored).all()
    # a symmetric block may cut what lies beyond its shorter side by one whole step
    step = np.repeat(np.abs(packed.scales), fmt.block, axis=1)[:, :128]
    floor = 255 * float(np.finfo(np.float32).tiny)
    assert (np.abs(restored - matrix) <= step * ROUNDING + floor).all()


@every_format
def test_no_scale_is_a_denormal_number_that_the_runtime_would_read_as_zero(fmt: BlockFormat) -> None:
    tiny = np.float32(np.finfo(np.float32).tiny)
    matrix = weights(50, 256) * np.geomspace(1e-44, 1e-30, 50, dtype=np.float32)[:, None]
    scales = np.abs(quantise_rows(matrix, fmt).scales)
    assert ((scales == 0) | (scales >= tiny)).all()


@every_format
def test_the_padding_of_the_last_block_does_not_touch_its_weights(fmt: BlockFormat) -> None:
    """Columns beyond the matrix count as zeros, as the kernel pads the activations."""
    matrix = weights(6, fmt.block + 5)
    padded = np.pad(matrix, ((0, 0), (0, fmt.block - 5)))
    ours, whole = quantise_rows(matrix, fmt), quantise_rows(padded, fmt)
    np.testing.assert_array_equal(ours.values, whole.values)
    assert not dequantise(ours, fmt, 2 * fmt.block)[:, fmt.block + 5 :].any()


@pytest.mark.parametrize("fmt", ASYMMETRIC, ids=name)
def test_a_one_sided_block_uses_all_levels(fmt: BlockFormat) -> None:
    matrix = np.linspace(0.5, 1.0, fmt.block, dtype=np.float32)[None]
    packed = quantise_rows(matrix, fmt)
    assert packed.scales[0, 0] == pytest.approx(1 / ((1 << fmt.bits) - 1))
