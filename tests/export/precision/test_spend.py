"""A budget is spent where it lowers the cost most, and never exceeded."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.precision.matrix_costs import Cost
from export.precision.spend import spend
from quant.formats import BlockFormat

FORMATS = [BlockFormat(4, 128), BlockFormat(4, 64), BlockFormat(4, 32), BlockFormat(8, 128)]
SIZES = {"a": 1000, "b": 3000, "c": 500}


def drawn(seed: int) -> dict[str, dict[BlockFormat, Cost]]:
    rng = np.random.default_rng(seed)
    return {name: {fmt: Cost(*rng.exponential(1 / fmt.bits, 2)) for fmt in FORMATS} for name in SIZES}


def total(costs: dict[str, dict[BlockFormat, Cost]], chosen: dict[str, BlockFormat]) -> tuple[float, float]:
    """(nats, bits a weight)."""
    bits = sum(fmt.bits_per_weight() * SIZES[name] for name, fmt in chosen.items())
    return sum(costs[name][fmt].nats for name, fmt in chosen.items()), bits / sum(SIZES.values())


@given(st.integers(0, 10_000), st.floats(4.3, 9.0))
def test_the_budget_holds_and_nothing_cheaper_is_as_good(seed: int, bits: float) -> None:
    costs = drawn(seed)
    nats, spent = total(costs, spend(costs, SIZES, bits))
    assert spent <= bits + 1e-9
    for formats in product(FORMATS, repeat=len(SIZES)):
        other_nats, other_bits = total(costs, dict(zip(SIZES, formats, strict=True)))
        if other_bits <= spent + 1e-9 and other_nats < nats - 1e-9:
            # the hull is left only by what no longer fits, so a better mixture has less than one matrix to go
            assert bits - spent < max(SIZES.values()) * 4.3 / sum(SIZES.values())


def test_a_matrix_that_matters_more_gets_more() -> None:
    flat = {fmt: Cost(0.01 / fmt.bits_per_weight(), 0.0) for fmt in FORMATS}
    steep = {fmt: Cost(1.0 / fmt.bits_per_weight() ** 2, 0.0) for fmt in FORMATS}
    chosen = spend({"a": flat, "b": flat, "c": steep}, SIZES, 4.8)
    assert chosen["c"] == BlockFormat(8, 128)
    assert chosen["b"] == BlockFormat(4, 128)


@pytest.mark.parametrize("bits", [0.0, 4.0])
def test_too_small_a_budget_gives_the_cheapest(bits: float) -> None:
    assert set(spend(drawn(1), SIZES, bits).values()) <= set(FORMATS[:1])
