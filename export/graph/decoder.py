"""The decoder graph: token ids and a KV cache in, logits of chosen rows out.

inputs   input_ids int64 [1, S]; logit_rows int64 [R], R ≥ 1 positions within this call whose logits are wanted;
         with media: media float32 [M, hidden], the embeddings of M image or audio tokens, and media_rows
         int64 [M, 1], their positions within this call (M may be 0);
         seqlens_k int32 [1] = past + S - 1; total_sequence_length int32 [] = past + S;
         cos_cache, sin_cache float32 [positions, rotary dim / 2]; past.N.key|value [1, H_kv, T, D], float32 or int8
outputs  logits float32 [R, vocab]; present.N.key|value, bound to the same buffers as past
There is no attention mask and no position input: both follow from the lengths (batch 1, no padding).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from export.architectures.spec import DecoderSpec
from export.architectures.weights import FAST, stored_as
from export.graph import blocks, int8_cache
from export.graph.builder import GraphBuilder
from export.graph.int8_cache import CacheSteps
from export.weights.layout import PlacedWeight


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the decoder graphs over the same weights.

    `lora` names the adapter that every Linear layer gets ("" for none); such a graph also takes media. `fast` reads
    the int8 copies of the Linear layers, which suit many rows at once. `steps`, one of each layer, are those of an
    int8 KV cache.
    """

    lora: str = ""
    fast: bool = False
    steps: Sequence[CacheSteps] = ()


def build_decoder(
    spec: DecoderSpec, weights: Mapping[str, PlacedWeight], weights_file: str, variant: Variant = Variant()
) -> bytes:
    """The serialized ONNX model. `weights` is keyed by the names `decoder_weights` gives."""
    graph = GraphBuilder("decoder", weights_file)
    _declare_inputs(graph, spec, bool(variant.lora), TensorProto.INT8 if variant.steps else TensorProto.FLOAT)
    shape = blocks.AttentionShape(spec.heads, spec.kv_heads, spec.head_size, spec.attention_scale, spec.sliding_window)
    eps, residual_multiplier = spec.norm_epsilon, spec.residual_multiplier

    def linear(x: str, name: str, out: str) -> str:
        return _linear(graph, weights, variant, x, name, out)

    x = blocks.embedding(graph, "input_ids", weights["embedding"], "embedded")
    if variant.lora:
        x = _with_media(graph, spec, x)
    residual = blocks.scaled(graph, x, spec.embedding_multiplier, "embedded.scaled")
    x = blocks.rms_norm(graph, residual, weights["layers.0.input_norm"], eps, "layers.0.input")
    for layer in range(spec.layers):
        name = f"layers.{layer}"
        qkv = linear(x, f"{name}.qkv", f"{name}.qkv_out")
        if variant.steps:
            x = int8_cache.attention(graph, qkv, layer, shape, variant.steps[layer], f"{name}.attended")
        else:
            x = blocks.attention(graph, qkv, layer, shape, f"{name}.attended")
        x = linear(x, f"{name}.attention_out", f"{name}.attention")
        x = blocks.scaled(graph, x, residual_multiplier, f"{name}.attention.scaled")
        x, residual = blocks.add_norm(graph, residual, x, weights[f"{name}.mlp_norm"], eps, f"{name}.mlp_in")
        both = linear(x, f"{name}.gate_up", f"{name}.gate_up_out")
        x = linear(blocks.gated_silu(graph, both, spec.intermediate_size, f"{name}.mlp"), f"{name}.down", f"{name}.mlp")
        x = blocks.scaled(graph, x, residual_multiplier, f"{name}.mlp.scaled")
        if layer + 1 < spec.layers:
            norm = weights[f"layers.{layer + 1}.input_norm"]
            x, residual = blocks.add_norm(graph, residual, x, norm, eps, f"layers.{layer + 1}.input")
    _logits(graph, spec, residual, x, weights)
    return graph.serialize()


def _linear(
    graph: GraphBuilder, weights: Mapping[str, PlacedWeight], variant: Variant, x: str, name: str, out: str
) -> str:
    """x · Wᵀ, and with an adapter + (x · Aᵀ) · Bᵀ; its scale is folded into B."""
    suffix = FAST if variant.fast else ""
    if not variant.lora:
        return _base(graph, weights, x, name + suffix, out)
    base = _base(graph, weights, x, name + suffix, f"{out}.base")
    adapter = f"lora.{variant.lora}.{name}"
    inner = blocks.linear(graph, x, weights[f"{adapter}.A{suffix}"], f"{out}.lora_a")
    side = blocks.linear(graph, inner, weights[f"{adapter}.B{suffix}"], f"{out}.lora_b")
    return graph.node("Add", [base, side], out)


def _base(graph: GraphBuilder, weights: Mapping[str, PlacedWeight], x: str, name: str, out: str) -> str:
    names = stored_as(name, weights)
    if len(names) == 1:
        return blocks.linear(graph, x, weights[name], out)
    products = [blocks.linear(graph, x, weights[one], f"{out}.{number}") for number, one in enumerate(names)]
    return graph.node("Concat", products, out, axis=-1)


def _with_media(graph: GraphBuilder, spec: DecoderSpec, embedded: str) -> str:
    """Placeholder tokens get the embeddings that an encoder made."""
    flat = graph.constant("flat", np.array([-1, spec.hidden_size], np.int64))
    whole = graph.constant("whole", np.array([1, -1, spec.hidden_size], np.int64))
    rows = graph.node("Reshape", [embedded, flat], "embedded.rows")
    placed = graph.node("ScatterND", [rows, "media_rows", "media"], "embedded.placed")
    return graph.node("Reshape", [placed, whole], "embedded.media")


def _declare_inputs(graph: GraphBuilder, spec: DecoderSpec, media: bool, cached: int) -> None:
    graph.input("input_ids", TensorProto.INT64, [1, "S"])
    if media:
        graph.input("media", TensorProto.FLOAT, ["M", spec.hidden_size])
        graph.input("media_rows", TensorProto.INT64, ["M", 1])
    graph.input("logit_rows", TensorProto.INT64, ["R"])
    graph.input("seqlens_k", TensorProto.INT32, [1])
    graph.input("total_sequence_length", TensorProto.INT32, [])
    for table in ("cos_cache", "sin_cache"):
        graph.input(table, TensorProto.FLOAT, ["positions", spec.rotary.dim // 2])
    graph.output("logits", TensorProto.FLOAT, ["R", spec.vocab_size])
    cache = [1, spec.kv_heads, "T", spec.head_size]
    for layer in range(spec.layers):
        for kind in ("key", "value"):
            graph.input(f"past.{layer}.{kind}", cached, cache)
            graph.output(f"present.{layer}.{kind}", cached, cache)


def _logits(graph: GraphBuilder, spec: DecoderSpec, residual: str, x: str, weights: Mapping[str, PlacedWeight]) -> None:
    """Rows are chosen before the norm and the head: the head is a sixth of the model, most rows need none."""
    total = graph.node("Add", [residual, x], "last.residual")
    flat = graph.node(
        "Reshape", [total, graph.constant("flat", np.array([-1, spec.hidden_size], np.int64))], "last.flat"
    )
    chosen = graph.node("Gather", [flat, "logit_rows"], "last.chosen", axis=0)
    normed = blocks.rms_norm(graph, chosen, weights["norm"], spec.norm_epsilon, "last.normed")
    if spec.logits_divisor == 1.0:
        blocks.linear(graph, normed, weights["head"], "logits")
        return
    raw = blocks.linear(graph, normed, weights["head"], "logits.raw")
    divisor = graph.constant("logits.divisor", np.array(spec.logits_divisor, np.float32))
    graph.node("Div", [raw, divisor], "logits")
