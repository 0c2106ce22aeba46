"""What the sums over calibration tokens promise to the methods that use them."""

import numpy as np
import pytest

from quant.statistics import PANEL, Statistics


def inputs(tokens: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((tokens, columns)).astype(np.float32)


@pytest.mark.parametrize("columns", [1, 70, PANEL + 3])
def test_the_moments_are_those_of_all_tokens_and_exactly_symmetric(columns: int) -> None:
    x = inputs(50, columns)
    statistics = Statistics(columns)
    statistics.add(x[:20])
    statistics.add(x[20:])
    np.testing.assert_allclose(statistics.moments, x.T.astype(np.float64) @ x, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(statistics.moments, statistics.moments.T)
    np.testing.assert_array_equal(statistics.importance, np.diag(statistics.moments))


def test_feedback_makes_the_moments_diagonal() -> None:
    statistics = Statistics(40)
    statistics.add(inputs(200, 40) @ inputs(40, 40, seed=1))
    m = statistics.feedback.m.astype(np.float64)
    np.testing.assert_array_equal(m, np.triu(m))
    np.testing.assert_array_equal(np.diag(m), 1)
    inverse = np.linalg.inv(m)
    damped = statistics.moments + 0.01 * statistics.importance.mean() * np.eye(40)
    diagonal = inverse @ damped @ inverse.T
    off = diagonal - np.diag(np.diag(diagonal))
    assert np.abs(off).max() < 1e-5 * np.abs(diagonal).max()


def test_tokens_that_come_later_count_as_well() -> None:
    statistics = Statistics(8)
    statistics.add(inputs(30, 8))
    before = statistics.feedback.m.copy()
    statistics.add(inputs(30, 8, seed=2))
    assert not np.array_equal(statistics.feedback.m, before)


@pytest.mark.parametrize("tokens", [0, 1, 5])
def test_fewer_tokens_than_columns_still_give_finite_feedback(tokens: int) -> None:
    statistics = Statistics(64)
    statistics.add(inputs(tokens, 64))
    assert np.isfinite(statistics.feedback.m).all()


def test_the_error_is_that_of_the_outputs() -> None:
    x, weights, restored = inputs(100, 30), inputs(7, 30, seed=1), inputs(7, 30, seed=2)
    statistics = Statistics(30)
    statistics.add(x)
    expected = np.linalg.norm((weights - restored) @ x.T) / np.linalg.norm(weights @ x.T)
    assert statistics.error(weights, restored) == pytest.approx(expected, rel=1e-5)
    assert statistics.error(weights, weights) == 0
    assert statistics.error(np.zeros_like(weights), restored) == 0


def test_adding_does_not_change_the_inputs() -> None:
    x = inputs(10, 20)
    before = x.copy()
    Statistics(20).add(x)
    np.testing.assert_array_equal(x, before)
