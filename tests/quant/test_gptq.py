"""What GPTQ promises about a matrix and the inputs it was calibrated with."""

import numpy as np
import pytest

from quant.formats import BlockFormat
from quant.gptq import quantise_gptq
from quant.packing import dequantise
from quant.range_search import quantise_searched
from quant.rtn import quantise_rows
from quant.statistics import Statistics
from tests.quant.formats_under_test import ALL_FORMATS, name, weights

every_format = pytest.mark.parametrize("fmt", ALL_FORMATS, ids=name)


def correlated(columns: int, tokens: int = 400, seed: int = 0) -> np.ndarray:
    """float32 [tokens, columns]: mixtures of an eighth as many sources, and a little noise."""
    random = np.random.default_rng(seed)
    sources = random.standard_normal((tokens, max(1, columns // 8)))
    mixed = sources @ random.standard_normal((sources.shape[1], columns))
    return (mixed + 0.1 * random.standard_normal(mixed.shape)).astype(np.float32)


def statistics_of(x: np.ndarray) -> Statistics:
    made = Statistics(x.shape[1])
    made.add(x)
    return made


@every_format
@pytest.mark.parametrize("columns", [128, 300])
def test_on_correlated_inputs_the_output_is_nearer_than_without_feedback(fmt: BlockFormat, columns: int) -> None:
    x, matrix = correlated(columns), weights(24, columns)
    statistics = statistics_of(x)
    _, error = quantise_gptq(matrix, fmt, statistics)
    plain = statistics.error(matrix, dequantise(quantise_rows(matrix, fmt), fmt, columns))
    assert error < plain
    assert error < quantise_searched(matrix, fmt, statistics)[1]


@every_format
def test_the_reported_error_is_that_of_what_was_packed(fmt: BlockFormat) -> None:
    x, matrix = correlated(300), weights(9, 300)
    packed, error = quantise_gptq(matrix, fmt, statistics_of(x))
    restored = dequantise(packed, fmt, 300)
    assert restored.shape == matrix.shape
    wrong = np.linalg.norm((matrix - restored) @ x.T.astype(np.float64)) / np.linalg.norm(matrix @ x.T)
    assert error == pytest.approx(wrong, rel=1e-3)


@every_format
def test_columns_beyond_the_matrix_are_zero(fmt: BlockFormat) -> None:
    columns = fmt.block + 5
    packed, _ = quantise_gptq(weights(6, columns), fmt, statistics_of(correlated(columns)))
    assert not dequantise(packed, fmt, 2 * fmt.block)[:, columns:].any()


@every_format
@pytest.mark.filterwarnings("error")
def test_columns_that_were_never_fed_stay_near_their_weights(fmt: BlockFormat) -> None:
    x, matrix = correlated(200), weights(5, 200)
    x[:, 3] = x[:, 90:] = 0
    restored = dequantise(quantise_gptq(matrix, fmt, statistics_of(x))[0], fmt, 200)
    assert np.isfinite(restored).all()
    dead = slice(fmt.block * -(-90 // fmt.block), 200)
    plain = dequantise(quantise_rows(matrix, fmt), fmt, 200)
    np.testing.assert_allclose(restored[:, dead], plain[:, dead], atol=1e-6)


@pytest.mark.parametrize("tokens", [0, 1, 7])
@pytest.mark.filterwarnings("error")
def test_fewer_tokens_than_columns_make_no_nan(tokens: int) -> None:
    fmt = BlockFormat(4, 64)
    packed, error = quantise_gptq(weights(4, 192), fmt, statistics_of(correlated(192)[:tokens]))
    assert np.isfinite(dequantise(packed, fmt, 192)).all()
    assert np.isfinite(error)


def test_an_output_row_does_not_depend_on_its_neighbours() -> None:
    fmt, matrix, statistics = BlockFormat(4, 64), weights(33, 320), statistics_of(correlated(320))
    whole = dequantise(quantise_gptq(matrix, fmt, statistics)[0], fmt, 320)
    parts = [dequantise(quantise_gptq(matrix[a:b], fmt, statistics)[0], fmt, 320) for a, b in ((0, 1), (1, 33))]
    same = (np.concatenate(parts) == whole).mean()
    # a product of other sizes may differ in its last digit and tip a weight that lies between two levels
    assert same > 0.99


def test_the_same_call_gives_the_same_bytes() -> None:
    fmt, matrix, statistics = BlockFormat(4, 128), weights(40, 300), statistics_of(correlated(300))
    first, second = quantise_gptq(matrix, fmt, statistics)[0], quantise_gptq(matrix, fmt, statistics)[0]
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.scales, second.scales)


def test_a_matrix_of_one_row_and_untouched_arguments() -> None:
    matrix, statistics = weights(1, 200), statistics_of(correlated(200))
    before, moments = matrix.copy(), statistics.moments.copy()
    packed, _ = quantise_gptq(matrix, BlockFormat(4, 128), statistics)
    assert packed.scales.shape == (1, 2)
    np.testing.assert_array_equal(matrix, before)
    np.testing.assert_array_equal(statistics.moments, moments)
