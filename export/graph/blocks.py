"""The building blocks of a decoder graph, each in one place. All activations are float32 [1, S, width]."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.graph.builder import CONTRIB, GraphBuilder
from export.weights.layout import PlacedWeight
from quant.formats import BlockFormat, ChannelFormat

INT8_ACTIVATIONS = 4
"""MatMulNBits accuracy_level: anything else is several times slower (4 bits) or 200 times (8 bits)."""


@dataclass(frozen=True, slots=True)
class AttentionShape:
    heads: int
    kv_heads: int
    head_size: int
    scale: float
    window: int


def linear(graph: GraphBuilder, x: str, weight: PlacedWeight, out: str, bias: PlacedWeight | None = None) -> str:
    """x · Wᵀ + bias for a weight [N, K]; x is float32 [1, S, K]."""
    if bias:
        product = linear(graph, x, weight, f"{out}.product")
        return graph.node("Add", [product, graph.weight(bias.values)], out)
    fmt = weight.source.format
    if isinstance(fmt, ChannelFormat):
        return _int8_matmul(graph, x, weight, out)
    if not isinstance(fmt, BlockFormat):
        return graph.node("FusedMatMul", [x, graph.weight(weight.values)], out, CONTRIB, transB=1)
    if fmt.activation_bits == 8:
        return _matmul_nbits(graph, x, weight, fmt, out)
    coarse = rounded_to_int8(graph, x, weight.source.columns, fmt.block, out)
    error = graph.node("Sub", [x, coarse], f"{out}.error")
    # one call with twice the rows: the weights, which decoding waits for, are read only once
    rows = graph.node("Concat", [coarse, error], f"{out}.rows", axis=-2)
    products = _matmul_nbits(graph, rows, weight, fmt, f"{out}.products")
    graph.node("Split", [products], [f"{out}.coarse_product", f"{out}.error_product"], axis=-2, num_outputs=2)
    return graph.node("Add", [f"{out}.coarse_product", f"{out}.error_product"], out)


def _int8_matmul(graph: GraphBuilder, x: str, weight: PlacedWeight, out: str) -> str:
    """Every row of x is scaled to [-1, 1] first: one step for all rows would drown the small ones beside a large one.

    The step and the zero point are then constants, so a row's result does not depend on the rows beside it.
    """
    axis = graph.constant("last_axis", np.array([-1], np.int64))
    largest = graph.node("ReduceMax", [graph.node("Abs", [x], f"{out}.abs"), axis], f"{out}.largest0", keepdims=1)
    tiny = graph.constant("int8.tiny", np.array(1e-30, np.float32))
    largest = graph.node("Max", [largest, tiny], f"{out}.largest")
    step = graph.constant("int8.steps", np.array(1 / 127, np.float32))
    middle = graph.constant("int8.middle", np.array(128, np.uint8))
    levels = graph.node("QuantizeLinear", [graph.node("Div", [x, largest], f"{out}.unit"), step, middle], f"{out}.int8")
    values, scales = (graph.weight(section) for section in weight.sections)
    product = graph.node("MatMulIntegerToFloat", [levels, values, step, scales, middle], f"{out}.unit_out", CONTRIB)
    return graph.node("Mul", [product, largest], out)


def _matmul_nbits(graph: GraphBuilder, x: str, weight: PlacedWeight, fmt: BlockFormat, out: str) -> str:
    return graph.node(
        "MatMulNBits",
        [x, *(graph.weight(section) for section in weight.sections)],
        out,
        CONTRIB,
        N=weight.source.rows,
        K=weight.source.columns,
        bits=fmt.bits,
        block_size=fmt.block,
        accuracy_level=INT8_ACTIVATIONS,
    )


def rounded_to_int8(graph: GraphBuilder, x: str, columns: int, block: int, name: str) -> str:
    """x as the int8 kernel will see it: per block of a row, multiples of max|x| / 127."""
    padding = -columns % block
    if padding:
        pads = graph.constant(f"pad.{padding}", np.array([0, padding], np.int64))
        axes = graph.constant("last_axis", np.array([-1], np.int64))
        x = graph.node("Pad", [x, pads, "", axes], f"{name}.padded")
    cut = graph.constant(f"blocks.{block}", np.array([0, -1, block], np.int64))
    # a leading 1 of [1, S, K] is kept by the reshape below, whatever the rank
    shape = graph.node("Shape", [x], f"{name}.shape")
    grouped = graph.node("Reshape", [x, cut], f"{name}.grouped")
    axis = graph.constant("last_axis", np.array([-1], np.int64))
    size = graph.node("Abs", [grouped], f"{name}.abs")
    largest = graph.node("ReduceMax", [size, axis], f"{name}.largest", keepdims=1)
    steps = graph.constant("int8.steps", np.array(1 / 127, np.float32))
    tiny = graph.constant("int8.tiny", np.array(1e-30, np.float32))
    step = graph.node("Max", [graph.node("Mul", [largest, steps], f"{name}.step0"), tiny], f"{name}.step")
    levels = graph.node("Round", [graph.node("Div", [grouped, step], f"{name}.ratio")], f"{name}.levels")
    coarse = graph.node("Mul", [levels, step], f"{name}.coarse0")
    whole = graph.node("Reshape", [coarse, shape], f"{name}.coarse.padded" if padding else f"{name}.coarse")
    if not padding:
        return whole
    return first_columns(graph, whole, columns, f"{name}.coarse")


def first_columns(graph: GraphBuilder, x: str, columns: int, out: str) -> str:
    """x[..., :columns], to drop the padding of a last block."""
    start = graph.constant("slice.start", np.array([0], np.int64))
    stop = graph.constant(f"slice.{columns}", np.array([columns], np.int64))
    axis = graph.constant("last_axis", np.array([-1], np.int64))
    return graph.node("Slice", [x, start, stop, axis], out)


def embedding(graph: GraphBuilder, ids: str, weight: PlacedWeight, out: str) -> str:
    """Rows of a table; a quantised one is the same bytes that `linear` uses when the embedding is tied."""
    fmt = weight.source.format
    if not isinstance(fmt, BlockFormat):
        return graph.node("Gather", [graph.weight(weight.values), ids], out, axis=0)
    rows, blocks, width = weight.values.shape
    table = graph.weight(weight.values, (rows, blocks * width), alias=weight.source.name + ".table")
    padded = blocks * fmt.block != weight.source.columns
    inputs = [table, ids, *(graph.weight(section) for section in weight.sections[1:])]
    rows_out = graph.node(
        "GatherBlockQuantized",
        inputs,
        out + ".padded" if padded else out,
        CONTRIB,
        bits=fmt.bits,
        block_size=fmt.block,
        gather_axis=0,
        quantize_axis=1,
    )
    if not padded:
        return rows_out
    return first_columns(graph, rows_out, weight.source.columns, out)


def rms_norm(graph: GraphBuilder, x: str, weight: PlacedWeight, epsilon: float, out: str) -> str:
    return graph.node("SimplifiedLayerNormalization", [x, graph.weight(weight.values)], out, axis=-1, epsilon=epsilon)


def add_norm(
    graph: GraphBuilder, residual: str, x: str, weight: PlacedWeight, epsilon: float, out: str
) -> tuple[str, str]:
    """(norm(residual + x), residual + x) in one node."""
    total = out + ".residual"
    graph.node(
        "SkipSimplifiedLayerNormalization",
        [residual, x, graph.weight(weight.values)],
        [out, "", "", total],
        CONTRIB,
        epsilon=epsilon,
    )
    return out, total


def attention(graph: GraphBuilder, qkv: str, layer: int, shape: AttentionShape, out: str) -> str:
    """Grouped-query attention on packed QKV; rotates q and k, appends to the bound KV cache in place."""
    past, present = ([f"{time}.{layer}.{kind}" for kind in ("key", "value")] for time in ("past", "present"))
    return grouped_query_attention(graph, qkv, past, present, shape, out)


def grouped_query_attention(
    graph: GraphBuilder,
    qkv: str,
    past: Sequence[str],
    present: Sequence[str],
    shape: AttentionShape,
    out: str,
    int8_step: str = "",
) -> str:
    """`past` and `present` are keys, values; with `int8_step`, float32 [1], they are int8 multiples of it."""
    attributes: dict[str, float | int | str] = {
        "num_heads": shape.heads,
        "kv_num_heads": shape.kv_heads,
        "do_rotary": 1,
        "scale": shape.scale,
    }
    if shape.window:
        attributes["local_window_size"] = shape.window
    inputs = [qkv, "", "", *past, "seqlens_k", "total_sequence_length", "cos_cache", "sin_cache"]
    if int8_step:
        inputs += ["", "", "", int8_step, int8_step]  # no positions, bias or sink
        attributes |= {"k_quant_type": "PER_TENSOR", "v_quant_type": "PER_TENSOR", "kv_cache_bit_width": 8}
    return graph.node("GroupQueryAttention", inputs, [out, *present], CONTRIB, **attributes)


def gated_silu(graph: GraphBuilder, both: str, half: int, name: str) -> str:
    """silu(gate) * up; gate is the first half of the fused [.., 2 * half]."""
    split = graph.constant("mlp.split", np.array([half, half], np.int64))
    graph.node("Split", [both, split], [f"{name}.gate", f"{name}.up"], axis=-1)
    sigmoid = graph.node("Sigmoid", [f"{name}.gate"], f"{name}.sigmoid")
    silu = graph.node("Mul", [f"{name}.gate", sigmoid], f"{name}.silu")
    return graph.node("Mul", [silu, f"{name}.up"], f"{name}.gated")


def scaled(graph: GraphBuilder, x: str, factor: float, out: str) -> str:
    """x * factor, or x itself when the factor is 1."""
    if factor == 1.0:
        return x
    constant = graph.constant(out + ".factor", np.array(factor, np.float32))
    return graph.node("Mul", [x, constant], out)
