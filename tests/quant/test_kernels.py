"""onnxruntime's kernels read our packed bytes as the weights we mean: the independent check of the layout."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from quant.formats import BlockFormat
from quant.packing import PackedRows, dequantise
from quant.rtn import quantise_rows
from tests.quant.formats_under_test import ALL_FORMATS, name, weights

ROWS = 48
every_format = pytest.mark.parametrize("fmt", ALL_FORMATS, ids=name)
every_width = pytest.mark.parametrize("columns", [256, 576, 100])


def run(op: str, inputs: list[tuple[str, np.ndarray | None]], feed: np.ndarray, output: list[int], **attributes: int):
    """One contrib node: constants as initializers, the input whose array is None is fed."""
    kind = TensorProto.FLOAT if feed.dtype == np.float32 else TensorProto.INT64
    fed = next(key for key, array in inputs if array is None)
    node = helper.make_node(op, [key for key, _ in inputs], ["y"], domain="com.microsoft", **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(fed, kind, feed.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(array, key) for key, array in inputs if array is not None],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {fed: feed})[0]


def constants(packed: PackedRows) -> list[tuple[str, np.ndarray | None]]:
    found: list[tuple[str, np.ndarray | None]] = [("scales", packed.scales)]
    return found + ([("zero_points", packed.zero_points)] if packed.zero_points is not None else [])


def multiply(x: np.ndarray, packed: PackedRows, fmt: BlockFormat, columns: int, accuracy: int) -> np.ndarray:
    return run(
        "MatMulNBits",
        [("x", None), ("values", packed.values), *constants(packed)],
        x,
        [len(x), ROWS],
        N=ROWS,
        K=columns,
        bits=fmt.bits,
        block_size=fmt.block,
        accuracy_level=accuracy,
    )


@every_format
@every_width
@pytest.mark.parametrize("tokens", [1, 7])
def test_matmulnbits_multiplies_by_the_weights_we_packed(fmt: BlockFormat, columns: int, tokens: int) -> None:
    packed = quantise_rows(weights(ROWS, columns), fmt)
    x = np.random.default_rng(1).standard_normal((tokens, columns)).astype(np.float32)
    expected = x @ dequantise(packed, fmt, columns).T
    norm = np.linalg.norm(expected)
    # level 0 computes in float32, level 4 (what bundles use) rounds the activations to int8
    assert np.linalg.norm(multiply(x, packed, fmt, columns, 0) - expected) <= 1e-5 * norm
    assert np.linalg.norm(multiply(x, packed, fmt, columns, 4) - expected) <= 0.015 * norm


@every_format
@every_width
def test_gatherblockquantized_gives_exactly_the_rows_we_packed(fmt: BlockFormat, columns: int) -> None:
    packed = quantise_rows(weights(ROWS, columns), fmt)
    table = packed.values.reshape(ROWS, -1)
    ids = np.array([[0, ROWS - 1, 17, 17, 5]])
    padded = fmt.blocks(columns) * fmt.block
    rows = run(
        "GatherBlockQuantized",
        [("table", table), ("ids", None), *constants(packed)],
        ids,
        [1, 5, padded],
        bits=fmt.bits,
        block_size=fmt.block,
        gather_axis=0,
        quantize_axis=1,
    )
    np.testing.assert_array_equal(rows[..., :columns], dequantise(packed, fmt, columns)[ids])
    assert not rows[..., columns:].any()
