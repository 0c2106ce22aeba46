"""Attention over a KV cache of int8: each channel of keys and values in steps of its own, fixed at export.

The steps are multiplied into what goes in and comes out, so that the cache holds plain multiples of 1: the kernel is
faster with one step for all. A key's step commutes with its rotation because both channels of a rotated pair have it:
q · k = (q ⊙ s) · (k / s), and Σ p v = s ⊙ Σ p (v / s).

A call of few tokens lets the int8 kernel round its keys and values and read the cache as it is. For many tokens that
kernel is three to four times slower than the float32 one, so what is cached becomes float32 for the time of one layer,
and the new rows are rounded behind it: they see each other exactly, and rows that were there before do not change.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from export.graph.blocks import AttentionShape, grouped_query_attention
from export.graph.builder import GraphBuilder

MANY = 32
"""Tokens of a call from which on converting the cache costs less than the slower kernel."""

KINDS = ("key", "value")


@dataclass(frozen=True, slots=True, eq=False)
class CacheSteps:
    """Of one layer, float32 [kv heads, head size], positive; those of keys are equal within a rotated pair."""

    key: np.ndarray
    value: np.ndarray


def attention(graph: GraphBuilder, qkv: str, layer: int, shape: AttentionShape, steps: CacheSteps, out: str) -> str:
    """Like `blocks.attention`, with past and present int8, bound to the same buffers."""
    name, shared = f"layers.{layer}.cache", shape.heads // shape.kv_heads
    into = np.concatenate([np.repeat(steps.key, shared, axis=0), 1 / steps.key, 1 / steps.value]).ravel()
    back = np.repeat(steps.value, shared, axis=0).ravel()
    units = graph.node("Mul", [qkv, graph.constant(f"{name}.into", into)], f"{name}.qkv")
    past, present = ([f"{time}.{layer}.{kind}" for kind in KINDS] for time in ("past", "present"))
    many, few = graph.branch(f"{name}.many"), graph.branch(f"{name}.few")
    for branch, build in ((many, _converted), (few, _as_it_is)):
        made = [f"{branch.name}.{part}" for part in ("attended", *KINDS)]
        build(branch, units, past, made, shape)
        branch.output(made[0], TensorProto.FLOAT, [1, "S", len(back)])
        for cached in made[1:]:
            branch.output(cached, TensorProto.INT8, [1, shape.kv_heads, "T", shape.head_size])
    graph.choice(_many_tokens(graph), many, few, [f"{name}.attended", *present])
    return graph.node("Mul", [f"{name}.attended", graph.constant(f"{name}.back", back)], out)


def _many_tokens(graph: GraphBuilder) -> str:
    """Whether the call has many tokens: bool, the same for all layers."""
    if "cache.many" not in graph.initializers:
        graph.constant("cache.many", np.array(MANY, np.int64))
        graph.node("Size", ["input_ids"], "cache.tokens")
        graph.node("GreaterOrEqual", ["cache.tokens", "cache.many"], "cache.is_many")
    return "cache.is_many"


def _as_it_is(graph: GraphBuilder, qkv: str, past: list[str], made: list[str], shape: AttentionShape) -> None:
    one = graph.constant("cache.one", np.ones(1, np.float32))
    grouped_query_attention(graph, qkv, past, made[1:], shape, made[0], int8_step=one)


def _converted(graph: GraphBuilder, qkv: str, past: list[str], made: list[str], shape: AttentionShape) -> None:
    """The new rows are scattered into the int8 buffer, which ScatterND does in place when its output is its input."""
    name = graph.name
    zero, row_axis = (graph.constant(f"cache.at_{n}", np.array([n], np.int64)) for n in (0, 2))
    step, middle = (
        graph.constant("cache.step", np.array(1, np.float32)),
        graph.constant("cache.middle", np.array(0, np.int8)),
    )
    start, stop, places = _places(graph, shape.kv_heads)
    converted = []
    for kind, buffer in zip(KINDS, past, strict=True):
        kept = graph.node("Slice", [buffer, zero, start, row_axis], f"{name}.kept_{kind}")
        converted.append(graph.node("Cast", [kept], f"{name}.float_{kind}", to=TensorProto.FLOAT))
    longer = [f"{name}.longer_{kind}" for kind in KINDS]
    grouped_query_attention(graph, qkv, converted, longer, shape, made[0])
    for kind, buffer, whole, out in zip(KINDS, past, longer, made[1:], strict=True):
        fresh = graph.node("Slice", [whole, start, stop, row_axis], f"{name}.fresh_{kind}")
        rounded = graph.node("QuantizeLinear", [fresh, step, middle], f"{name}.rounded_{kind}")
        graph.node("ScatterND", [buffer, places, rounded], out)


def _places(graph: GraphBuilder, kv_heads: int) -> tuple[str, str, str]:
    """int64 [1] first row of the call, the one after its last, and int64 [1, kv heads, S, 3] where its rows go."""
    name = graph.name
    total = graph.node("Cast", ["total_sequence_length"], f"{name}.total", to=TensorProto.INT64)
    past = graph.node("Sub", [total, "cache.tokens"], f"{name}.past")
    vector = graph.constant("cache.vector", np.array([1], np.int64))
    start, stop = (graph.node("Reshape", [one, vector], f"{one}_row") for one in (past, total))
    rows = graph.node("Range", [past, total, graph.constant("cache.next", np.array(1, np.int64))], f"{name}.rows")
    column = graph.node("Reshape", [rows, graph.constant("cache.column", np.array([1, 1, -1, 1]))], f"{name}.column")
    heads = np.zeros((1, kv_heads, 1, 3), np.int64)
    heads[0, :, 0, 1] = np.arange(kv_heads)
    unit = graph.constant("cache.unit", np.array([0, 0, 1], np.int64))
    along = graph.node("Mul", [column, unit], f"{name}.along")
    return start, stop, graph.node("Add", [along, graph.constant("cache.heads", heads)], f"{name}.places")
