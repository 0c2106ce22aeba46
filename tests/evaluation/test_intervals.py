"""Intervals against published and enumerated values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.evaluation.intervals import bootstrap, wilson

UTTERANCES = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        # Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(hits: int, count: int, low: float, high: float) -> None:
    assert wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_wilson_holds_the_rate_stays_within_0_and_1_and_mirrors(case: tuple[int, int]) -> None:
    hits, count = case
    low, high = wilson(hits, count)
    assert 0 <= low <= hits / count <= high <= 1
    assert low < high
    assert wilson(count - hits, count) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_two_utterances_one_of_them_wrong_may_be_anything_from_all_right_to_all_wrong() -> None:
    """Drawn again they are 0, 1/2 or 1 wrong with the chances 1/4, 1/2 and 1/4, so both ends hold 2.5 %."""
    assert bootstrap([0, 1], [1, 1]) == (0.0, 1.0)


def test_utterances_with_the_same_rate_leave_nothing_open() -> None:
    assert bootstrap([1, 2, 4], [4, 8, 16]) == (0.25, 0.25)


def test_many_utterances_come_near_the_normal_interval() -> None:
    """400 one-word utterances, 20 % wrong: 0.2 ± 1.96 · sqrt(0.2 · 0.8 / 400) = 0.1608 … 0.2392."""
    low, high = bootstrap([1] * 80 + [0] * 320, [1] * 400)
    assert (low, high) == pytest.approx((0.1608, 0.2392), abs=0.006)


def test_longer_utterances_weigh_more() -> None:
    low, high = bootstrap([0, 9], [1, 9])
    assert (low, high) == (0.0, 1.0)
    assert bootstrap([0] * 50 + [9] * 50, [1] * 50 + [9] * 50)[0] > 0.8


def test_no_error_at_all_is_no_certainty() -> None:
    assert bootstrap([0] * 20, [3] * 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_utterances_of_silence_do_not_make_a_draw_impossible() -> None:
    low, high = bootstrap([1, 0, 0], [2, 0, 0])
    assert (low, high) == (0.5, 0.5)


@settings(max_examples=25)
@given(UTTERANCES)
def test_bootstrap_gives_the_same_ends_each_time_within_the_best_and_worst_utterance(
    utterances: list[tuple[int, int]],
) -> None:
    errors, words = zip(*utterances, strict=True)
    low, high = bootstrap(errors, words)
    assert (low, high) == bootstrap(errors, words)
    if any(errors):
        rates = [wrong / count for wrong, count in utterances]
        assert min(rates) - 1e-12 <= low <= high <= max(rates) + 1e-12
