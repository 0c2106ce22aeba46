"""Matrices as a neural processor's compiler takes them, over the same bytes as the CPU's kernels."""

import numpy as np

from export.graph.builder import CONTRIB
from export.npu.builder import FixedGraph
from export.weights.layout import PlacedWeight
from quant.formats import BlockFormat, ChannelFormat

STEPS = 32767
"""On either side of 0 in uint16."""


def linear(graph: FixedGraph, x: str, weight: PlacedWeight, out: str, bias: PlacedWeight | None = None) -> str:
    """x · Wᵀ + bias for a weight [N, K]; x is float32 [1, S, K]."""
    if bias:
        product = linear(graph, x, weight, f"{out}.product")
        return graph.node("Add", [product, graph.weight(bias.values)], out)
    fmt = weight.source.format
    if isinstance(fmt, BlockFormat):
        return _blocks(graph, x, weight, fmt, out)
    if isinstance(fmt, ChannelFormat):
        return _channels(graph, x, weight, out)
    turned = graph.node("Transpose", [graph.weight(weight.values)], f"{out}.turned", perm=[1, 0])  # at load
    return graph.node("MatMul", [x, turned], out)


def _blocks(graph: FixedGraph, x: str, weight: PlacedWeight, fmt: BlockFormat, out: str) -> str:
    """Whole blocks only, which is what the compiler takes: the stored ones end with zeros, so x gets zeros too.

    No accuracy_level: it would round activations to int8 on the CPU, and the graph has to say the same there.
    """
    columns = fmt.blocks(weight.source.columns) * fmt.block
    if padding := columns - weight.source.columns:
        # not Pad, which the compiler refuses for a single axis; [.., :1] has the rows of x, whatever their number
        zeros = graph.constant(f"zeros.{padding}", np.zeros(padding, np.float32))
        ends = [graph.constant(f"int.{n}", np.array([n], np.int64)) for n in (0, 1, -1)]
        nothing = graph.node("Mul", [graph.node("Slice", [x, *ends], f"{out}.first"), zeros], f"{out}.nothing")
        x = graph.node("Concat", [x, nothing], f"{out}.padded", axis=-1)
    return graph.node(
        "MatMulNBits",
        [x, *(graph.weight(section) for section in weight.sections)],
        out,
        CONTRIB,
        N=weight.source.rows,
        K=columns,
        bits=fmt.bits,
        block_size=fmt.block,
    )


def _channels(graph: FixedGraph, x: str, weight: PlacedWeight, out: str) -> str:
    """Both sides of the product in uint16, without a calibration.

    A row of x is scaled to [-1, 1]. Then a channel's output is at most the sum of its weights' sizes: scaled by that it
    is in [-1, 1] as well, whatever the input.
    """
    values, scales = (graph.stored(section) for section in weight.sections)
    largest_sum = np.maximum(np.abs(values.astype(np.float32)).sum(axis=0) * scales, np.finfo(np.float32).tiny)
    axis = graph.constant("last_axis", np.array([-1], np.int64))
    largest = graph.node("ReduceMax", [graph.node("Abs", [x], f"{out}.abs"), axis], f"{out}.largest0", keepdims=1)
    # a number in float16 too, where 1e-30 is 0
    largest = graph.node("Max", [largest, graph.constant("tiny16", np.array(1e-4, np.float32))], f"{out}.largest")
    unit = _uint16(graph, graph.node("Div", [x, largest], f"{out}.unit0"), f"{out}.unit")
    steps = graph.constant(f"{out}.steps", (scales / largest_sum).astype(np.float32))
    zeros = graph.constant(f"{out}.zeros", np.zeros(len(scales), np.int8))
    matrix = graph.node("DequantizeLinear", [graph.weight(weight.values), steps, zeros], f"{out}.matrix", axis=1)
    product = _uint16(graph, graph.node("MatMul", [unit, matrix], f"{out}.share0"), f"{out}.share")
    back = graph.node("Mul", [product, graph.constant(f"{out}.sums", largest_sum)], f"{out}.channels")
    return graph.node("Mul", [back, largest], out)


def _uint16(graph: FixedGraph, x: str, out: str) -> str:
    """x in [-1, 1] to the nearest of 65,535 steps."""
    step = graph.constant("uint16.step", np.array(1 / STEPS, np.float32))
    middle = graph.constant("uint16.middle", np.array(STEPS + 1, np.uint16))
    levels = graph.node("QuantizeLinear", [x, step, middle], f"{out}.levels")
    return graph.node("DequantizeLinear", [levels, step, middle], out)
