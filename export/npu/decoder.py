"""The decoder as graphs of fixed shapes: layers for a chunk of S tokens or for one, and a head for one row.

layers   inputs   embedded float32 [1, S, hidden], what the embedding (and an encoder, for media) gave;
                  cos, sin float32 [1, 1, S, rotary dim / 2], the rotary tables' rows of these tokens' positions;
                  mask float32 [1, 1, S, P + S], added to the scores: 0 where a token may look, HIDDEN elsewhere;
                  past.N.key|value float32 [1, H_kv, P, D]
         outputs  hidden float32 [1, S, hidden]; new.N.key|value float32 [1, H_kv, S, D]
head     hidden float32 [1, 1, hidden] to logits float32 [1, 1, vocab]
embedding   input_ids int64 [1, S] to embedded float32 [1, S, hidden], for the CPU: rows of a table
There is no index and no length in them: what a token may see, and where its key is kept, is the caller's.
"""

from collections.abc import Mapping
from pathlib import Path

from onnx import TensorProto

from export.architectures.spec import DecoderSpec
from export.architectures.weights import stored_as
from export.graph import blocks
from export.npu.attention import Window, attention
from export.npu.builder import FixedGraph
from export.npu.linear import linear
from export.weights.layout import PlacedWeight

Weights = Mapping[str, PlacedWeight]


def build_layers(
    spec: DecoderSpec, weights: Weights, weights_path: Path, window: Window, lora: str = "", layers: int | None = None
) -> bytes:
    """The serialized ONNX model; `lora` names the adapter that every Linear layer gets, `layers` how many there are.

    Every token sees all before it: `FixedShapes.check` says where that would be wrong.
    """
    graph = FixedGraph("layers", weights_path)
    _declare(graph, spec, window, layers or spec.layers)
    shape = blocks.AttentionShape(spec.heads, spec.kv_heads, spec.head_size, spec.attention_scale, 0)

    def product(x: str, name: str, out: str) -> str:
        return _linear(graph, weights, x, name, out, lora)

    def norm(x: str, name: str, out: str) -> str:
        return blocks.rms_norm(graph, x, weights[name], spec.norm_epsilon, out)

    x = blocks.scaled(graph, "embedded", spec.embedding_multiplier, "embedded.scaled")
    for layer in range(layers or spec.layers):
        name = f"layers.{layer}"
        qkv = product(norm(x, f"{name}.input_norm", f"{name}.input"), f"{name}.qkv", f"{name}.qkv_out")
        attended = attention(graph, qkv, layer, shape, spec.rotary.dim, window, f"{name}.attended")
        branch = product(attended, f"{name}.attention_out", f"{name}.attention")
        branch = blocks.scaled(graph, branch, spec.residual_multiplier, f"{name}.attention.scaled")
        x = graph.node("Add", [x, branch], f"{name}.middle")
        both = product(norm(x, f"{name}.mlp_norm", f"{name}.mlp_in"), f"{name}.gate_up", f"{name}.gate_up_out")
        gated = blocks.gated_silu(graph, both, spec.intermediate_size, f"{name}.mlp")
        branch = product(gated, f"{name}.down", f"{name}.mlp")
        branch = blocks.scaled(graph, branch, spec.residual_multiplier, f"{name}.mlp.scaled")
        last = layer + 1 == (layers or spec.layers)
        x = graph.node("Add", [x, branch], "hidden" if last else f"{name}.end")
    return graph.serialize()


def build_head(spec: DecoderSpec, weights: Weights, weights_path: Path) -> bytes:
    """The last norm and the output matrix, for one row."""
    graph = FixedGraph("head", weights_path)
    graph.input("hidden", TensorProto.FLOAT, [1, 1, spec.hidden_size])
    graph.output("logits", TensorProto.FLOAT, [1, 1, spec.vocab_size])
    normed = blocks.rms_norm(graph, "hidden", weights["norm"], spec.norm_epsilon, "normed")
    factor = 1 / spec.logits_divisor
    raw = linear(graph, normed, weights["head"], "logits" if factor == 1.0 else "logits.raw")
    blocks.scaled(graph, raw, factor, "logits")
    return graph.serialize()


def build_embedding(spec: DecoderSpec, weights: Weights, weights_path: Path) -> bytes:
    """Any number of tokens; stays on the CPU, which maps the table and touches the rows it needs."""
    graph = FixedGraph("embedding", weights_path)
    graph.input("input_ids", TensorProto.INT64, [1, "S"])
    graph.output("embedded", TensorProto.FLOAT, [1, "S", spec.hidden_size])
    blocks.embedding(graph, "input_ids", weights["embedding"], "embedded")
    return graph.serialize()


def _linear(graph: FixedGraph, weights: Weights, x: str, name: str, out: str, lora: str) -> str:
    names = stored_as(name, weights)
    whole = f"{out}.base" if lora else out
    products = [
        linear(graph, x, weights[one], whole if len(names) == 1 else f"{out}.{number}")
        for number, one in enumerate(names)
    ]
    base = products[0] if len(products) == 1 else graph.node("Concat", products, whole, axis=-1)
    if not lora:
        return base
    adapter = f"lora.{lora}.{name}"
    inner = linear(graph, x, weights[f"{adapter}.A"], f"{out}.lora_a")
    return graph.node("Add", [base, linear(graph, inner, weights[f"{adapter}.B"], f"{out}.lora_b")], out)


def _declare(graph: FixedGraph, spec: DecoderSpec, window: Window, layers: int) -> None:
    tokens, past = window.tokens, window.past
    graph.input("embedded", TensorProto.FLOAT, [1, tokens, spec.hidden_size])
    for table in ("cos", "sin"):
        graph.input(table, TensorProto.FLOAT, [1, 1, tokens, spec.rotary.dim // 2])
    graph.input("mask", TensorProto.FLOAT, [1, 1, tokens, past + tokens])
    graph.output("hidden", TensorProto.FLOAT, [1, tokens, spec.hidden_size])
    for layer in range(layers):
        for kind in ("key", "value"):
            graph.input(f"past.{layer}.{kind}", TensorProto.FLOAT, [1, spec.kv_heads, past, spec.head_size])
            graph.output(f"new.{layer}.{kind}", TensorProto.FLOAT, [1, spec.kv_heads, tokens, spec.head_size])
