"""Attention over a fixed window, in plain operators: what a neural processor's compiler takes.

The cache is an input of `window` keys and values per head, and the call's own `tokens` come behind them. A mask (0, or
`edge.runtime.fixed_window.HIDDEN`) says which of all these a token may see, so padding at either end needs no other
rule. The graph gives back only the new keys and values: the caller puts them where they belong, and an unused row of a
padded chunk is simply not kept.
"""

from dataclasses import dataclass

import numpy as np

from export.graph.blocks import AttentionShape
from export.graph.builder import GraphBuilder


@dataclass(frozen=True, slots=True)
class Window:
    """`tokens` per call, after at most `past` that are in the cache."""

    tokens: int
    past: int


def rotated(graph: GraphBuilder, x: str, head_size: int, rotary: int, out: str) -> str:
    """Rotary embedding of [1, heads, S, D], pairs half of `rotary` apart; "cos" and "sin" are [1, 1, S, rotary / 2]."""
    half = rotary // 2
    sizes = [half, half] + ([head_size - rotary] if head_size > rotary else [])
    parts = [f"{out}.{name}" for name in ("first", "second", "rest")][: len(sizes)]
    graph.node("Split", [x, graph.constant(f"rotary.{head_size}.{half}", np.array(sizes, np.int64))], parts, axis=-1)
    first, second = parts[:2]

    def product(part: str, table: str) -> str:
        return graph.node("Mul", [part, table], f"{part}.{table}")

    left = graph.node("Sub", [product(first, "cos"), product(second, "sin")], f"{out}.left")
    right = graph.node("Add", [product(second, "cos"), product(first, "sin")], f"{out}.right")
    return graph.node("Concat", [left, right, *parts[2:]], out, axis=-1)


def attention(
    graph: GraphBuilder, qkv: str, layer: int, shape: AttentionShape, rotary: int, window: Window, out: str
) -> str:
    """Grouped-query attention on packed QKV [1, S, (H + 2 H_kv) · D]; declares "new.N.key|value" [1, H_kv, S, D]."""
    heads, kv_heads, size, tokens = shape.heads, shape.kv_heads, shape.head_size, window.tokens
    name = f"layers.{layer}"
    widths = graph.constant("qkv.widths", np.array([heads * size, kv_heads * size, kv_heads * size], np.int64))
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    graph.node("Split", [qkv, widths], parts, axis=-1)

    def reshaped(x: str, y: str, *dimensions: int) -> str:
        constant = graph.constant(".".join(map(str, ("shape", *dimensions))), np.array(dimensions, np.int64))
        return graph.node("Reshape", [x, constant], y)

    def by_head(x: str, count: int, y: str) -> str:
        return graph.node("Transpose", [reshaped(x, f"{x}.heads", 1, tokens, count, size)], y, perm=[0, 2, 1, 3])

    query = rotated(graph, by_head(parts[0], heads, f"{name}.query0"), size, rotary, f"{name}.query1")
    new_key, new_value = f"new.{layer}.key", f"new.{layer}.value"
    rotated(graph, by_head(parts[1], kv_heads, f"{name}.key0"), size, rotary, new_key)
    by_head(parts[2], kv_heads, new_value)
    keys = graph.node("Concat", [f"past.{layer}.key", new_key], f"{name}.keys", axis=2)
    values = graph.node("Concat", [f"past.{layer}.value", new_value], f"{name}.values", axis=2)
    scale = graph.constant("attention.scale", np.array(shape.scale or size**-0.5, np.float32))
    query = graph.node("Mul", [query, scale], f"{name}.query2")
    # the heads of a group stand below each other: one product per key head
    grouped = reshaped(query, f"{name}.grouped", 1, kv_heads, heads // kv_heads * tokens, size)
    turned = graph.node("Transpose", [keys], f"{name}.keys.turned", perm=[0, 1, 3, 2])
    total = window.past + tokens
    scores = reshaped(
        graph.node("MatMul", [grouped, turned], f"{name}.scores0"), f"{name}.scores1", 1, heads, tokens, total
    )
    masked = graph.node("Add", [scores, "mask"], f"{name}.scores2")
    weights = graph.node("Softmax", [masked], f"{name}.weights0", axis=-1)
    flat = reshaped(weights, f"{name}.weights1", 1, kv_heads, heads // kv_heads * tokens, total)
    mixed = reshaped(graph.node("MatMul", [flat, values], f"{name}.mixed0"), f"{name}.mixed1", 1, heads, tokens, size)
    turned = graph.node("Transpose", [mixed], f"{name}.mixed2", perm=[0, 2, 1, 3])
    return reshaped(turned, out, 1, tokens, heads * size)


def full_attention(
    graph: GraphBuilder, qkv: str, bias: str, tokens: int, heads: int, size: int, name: str, scale: float = 0.0
) -> str:
    """Of packed QKV float32 [1, T, 3 · H · D], every token looking at every other; `bias` is added to the scores."""

    def turned(x: str, y: str, *order: int) -> str:
        return graph.node("Transpose", [x], y, perm=order)

    apart = graph.constant("by_head", np.array([1, tokens, 3 * heads, size], np.int64))
    by_head = turned(graph.node("Reshape", [qkv, apart], f"{name}.apart"), f"{name}.heads", 0, 2, 1, 3)
    query, key, value = (f"{name}.{part}" for part in ("query", "key", "value"))
    graph.node("Split", [by_head], [query, key, value], axis=1, num_outputs=3)
    factor = graph.constant("attention.scale", np.array(scale or size**-0.5, np.float32))
    query = graph.node("Mul", [query, factor], f"{name}.query.scaled")
    scores = graph.node("MatMul", [query, turned(key, f"{key}.turned", 0, 1, 3, 2)], f"{name}.scores")
    shares = graph.node("Softmax", [graph.node("Add", [scores, bias], f"{name}.biased")], f"{name}.shares", axis=-1)
    mixed = turned(graph.node("MatMul", [shares, value], f"{name}.mixed0"), f"{name}.mixed1", 0, 2, 1, 3)
    joined = graph.constant("joined", np.array([1, tokens, heads * size], np.int64))
    return graph.node("Reshape", [mixed, joined], f"{name}.mixed")
