"""The packed layout and its inverse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quant.formats import BlockFormat
from quant.packing import dequantise, pack_nibbles, unpack_nibbles
from quant.rtn import quantise_rows
from tests.quant.formats_under_test import ALL_FORMATS, name, weights

nibbles = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(0, 5), st.integers(1, 3), st.integers(0, 20).map(lambda n: 2 * n)),
    elements=st.integers(0, 15),
)


@given(nibbles)
def test_packing_nibbles_loses_nothing(values: np.ndarray) -> None:
    packed = pack_nibbles(values)
    assert packed.nbytes * 2 == values.nbytes
    np.testing.assert_array_equal(unpack_nibbles(packed), values)


def test_the_first_of_a_pair_is_in_the_low_nibble() -> None:
    assert pack_nibbles(np.array([[0x3, 0xA]], np.uint8)).tolist() == [[0xA3]]


@pytest.mark.parametrize("fmt", ALL_FORMATS, ids=name)
@pytest.mark.parametrize("columns", [32, 100, 128, 576, 640])
def test_packed_arrays_have_the_sizes_that_the_file_layout_plans(fmt: BlockFormat, columns: int) -> None:
    packed = quantise_rows(weights(5, columns), fmt)
    assert packed.values.shape == fmt.value_shape(5, columns)
    assert packed.scales.shape == (5, fmt.blocks(columns))
    assert (packed.values.dtype, packed.scales.dtype) == (np.uint8, np.float32)
    if fmt.symmetric:
        assert packed.zero_points is None
    else:
        assert packed.zero_points is not None
        assert packed.zero_points.shape == (5, fmt.zero_point_columns(columns))
    assert dequantise(packed, fmt, columns).shape == (5, columns)
