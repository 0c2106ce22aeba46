"""What the searched scales and zero points promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.formats import BlockFormat
from quant.packing import PackedRows, dequantise
from quant.range_search import quantise_searched
from quant.rtn import quantise_rows
from quant.statistics import Statistics
from tests.quant.formats_under_test import ALL_FORMATS, name, weights

every_format = pytest.mark.parametrize("fmt", ALL_FORMATS, ids=name)


def statistics_of(columns: int, seed: int = 0) -> Statistics:
    """A few columns have inputs that are much larger, as in real models."""
    random = np.random.default_rng(seed)
    made = Statistics(columns)
    made.add((random.standard_normal((64, columns)) * np.exp(2 * random.standard_normal(columns))).astype(np.float32))
    return made


def block_errors(matrix: np.ndarray, packed: PackedRows, fmt: BlockFormat, importance: np.ndarray) -> np.ndarray:
    """[n, blocks]: Σ x² (w − ŵ)²."""
    columns = matrix.shape[1]
    off = importance * (matrix - dequantise(packed, fmt, columns).astype(np.float64)) ** 2
    return np.add.reduceat(off, np.arange(0, columns, fmt.block), axis=1)


@every_format
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), columns=st.integers(1, 300))
def test_no_block_is_worse_than_round_to_nearest_in_its_weighted_error(
    fmt: BlockFormat, seed: int, columns: int
) -> None:
    matrix, statistics = weights(5, columns, seed), statistics_of(columns, seed)
    packed, _ = quantise_searched(matrix, fmt, statistics)
    found = block_errors(matrix, packed, fmt, statistics.importance)
    plain = block_errors(matrix, quantise_rows(matrix, fmt), fmt, statistics.importance)
    # the search computes in float32, whose rounding alone is an error of this size
    floor = 1e-12 * np.add.reduceat(statistics.importance * matrix**2, np.arange(0, columns, fmt.block), axis=1)
    assert (found <= plain * 1.001 + floor).all()


def test_four_bits_gain_a_tenth_of_the_weighted_error_or_more() -> None:
    fmt, matrix, statistics = BlockFormat(4, 128), weights(64, 512), statistics_of(512)
    found = block_errors(matrix, quantise_searched(matrix, fmt, statistics)[0], fmt, statistics.importance).sum()
    assert found < 0.9 * block_errors(matrix, quantise_rows(matrix, fmt), fmt, statistics.importance).sum()


@every_format
def test_the_result_does_not_depend_on_how_rows_are_cut(fmt: BlockFormat) -> None:
    matrix, statistics = weights(33, 200), statistics_of(200)
    whole, _ = quantise_searched(matrix, fmt, statistics)
    parts = [quantise_searched(matrix[a:b], fmt, statistics)[0] for a, b in ((0, 1), (1, 20), (20, 33))]
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), whole.values)
    np.testing.assert_array_equal(np.concatenate([part.scales for part in parts]), whole.scales)


@every_format
def test_without_any_input_it_is_round_to_nearest(fmt: BlockFormat) -> None:
    matrix = weights(4, 200)
    packed, error = quantise_searched(matrix, fmt, Statistics(200))
    plain = quantise_rows(matrix, fmt)
    np.testing.assert_array_equal(packed.scales, plain.scales)
    np.testing.assert_array_equal(dequantise(packed, fmt, 200), dequantise(plain, fmt, 200))
    assert error == 0


STRANGE = {
    "all zero": np.zeros(128),
    "constant": np.full(128, 0.37),
    "one huge outlier": np.r_[1e30, np.full(127, 1e-3)],
    "both ends of float32": np.r_[np.full(64, 1.6e38), np.full(64, -1.6e38)],
    "denormal": np.full(128, 1e-40),
    "just above denormal": np.linspace(-1.2e-38, 1.2e-38, 128),
}


@every_format
@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.filterwarnings("error")
def test_strange_blocks_give_finite_weights_and_no_denormal_scales(fmt: BlockFormat, kind: str) -> None:
    matrix = STRANGE[kind].astype(np.float32)[None]
    packed, _ = quantise_searched(matrix, fmt, statistics_of(128))
    scales = np.abs(packed.scales)
    assert np.isfinite(dequantise(packed, fmt, 128)).all()
    assert ((scales == 0) | (scales >= np.finfo(np.float32).tiny)).all()


def test_neither_weights_nor_statistics_are_changed() -> None:
    matrix, statistics = weights(4, 256), statistics_of(256)
    before, moments = matrix.copy(), statistics.moments.copy()
    quantise_searched(matrix, BlockFormat(4, 128), statistics)
    np.testing.assert_array_equal(matrix, before)
    np.testing.assert_array_equal(statistics.moments, moments)
