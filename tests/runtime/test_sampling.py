"""Sampling against its definitions, by counting draws and by simple oracles."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from edge.runtime.sampling import Sampler, SamplingOptions, top_logprobs

LOGITS = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))


def draws(options: SamplingOptions, count: int = 4000, logits: np.ndarray = LOGITS) -> Counter[int]:
    sampler = Sampler(options)
    return Counter(sampler.pick(logits.copy()) for _ in range(count))


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=50))
def test_temperature_zero_takes_the_first_largest_logit(values: list[float]) -> None:
    logits = np.array(values, np.float32)
    assert Sampler(SamplingOptions()).pick(logits.copy()) == int(np.argmax(logits))


def test_draws_follow_the_softmax_at_temperature_one() -> None:
    counts = draws(SamplingOptions(temperature=1.0, seed=1))
    frequencies = np.array([counts[token] / 4000 for token in range(4)])
    assert np.abs(frequencies - [0.5, 0.3, 0.15, 0.05]).max() < 0.03


def test_a_higher_temperature_flattens_the_draws() -> None:
    cold, hot = (draws(SamplingOptions(temperature=t, seed=2)) for t in (0.5, 2.0))
    assert cold[0] > hot[0]
    assert cold[3] < hot[3]


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"top_k": 1}, {0}),
        ({"top_k": 2}, {0, 1}),
        ({"top_p": 0.5}, {0}),
        ({"top_p": 0.51}, {0, 1}),
        ({"top_p": 0.9}, {0, 1, 2}),
        ({"min_p": 0.59}, {0, 1}),
        ({"min_p": 0.61}, {0}),
        ({"top_k": 3, "min_p": 0.5}, {0, 1}),
    ],
)
def test_filters_keep_exactly_the_tokens_they_define(options: dict[str, float], allowed: set[int]) -> None:
    assert set(draws(SamplingOptions(temperature=1.0, seed=3, **options))) == allowed  # type: ignore[arg-type]


def test_a_forbidden_token_is_never_drawn() -> None:
    logits = LOGITS.copy()
    logits[0] = -np.inf
    assert 0 not in draws(SamplingOptions(temperature=5.0, seed=4), logits=logits)
    assert Sampler(SamplingOptions()).pick(logits.copy()) == 1


def test_the_same_seed_draws_the_same_tokens_and_another_seed_does_not() -> None:
    def tokens(seed: int) -> list[int]:
        sampler = Sampler(SamplingOptions(temperature=1.0, seed=seed))
        return [sampler.pick(LOGITS.copy()) for _ in range(50)]

    assert tokens(7) == tokens(7)
    assert tokens(7) != tokens(8)


def test_repetition_penalty_divides_positive_and_multiplies_negative_logits_of_seen_tokens() -> None:
    sampler = Sampler(SamplingOptions(repetition_penalty=2.0))
    sampler.observe([0, 1])
    logits = np.array([4.0, -1.0, 1.0, 0.5], np.float32)
    assert sampler.pick(logits) == 0
    assert logits.tolist() == [2.0, -2.0, 1.0, 0.5]


def test_logprobs_are_the_log_softmax_and_alternatives_come_in_order() -> None:
    logprob, top = top_logprobs(LOGITS * 1.0 + 3.0, 2, 3)
    assert logprob == pytest.approx(np.log(0.15), abs=1e-5)
    assert [token for token, _ in top] == [0, 1, 2]
    assert sum(np.exp(value) for _, value in top) == pytest.approx(0.95, abs=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": 1e308},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"min_p": -0.1},
        {"top_k": -1},
        {"repetition_penalty": 0.0},
        {"seed": -1},
        {"logprobs": 21},
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_of_its_flag(options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(UsageError, match="--" + name.replace("_", "-")):
        SamplingOptions(**options)  # type: ignore[arg-type]
