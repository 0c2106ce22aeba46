"""Which of the names that a folder may use its graph really has, and the shapes of its KV cache."""

from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from edge.bundle.contract import LAYER, Contract
from edge.foreign.described import Described, cannot
from edge.foreign.graph_facts import GraphFacts, Tensor

CACHE_BITS = {"float32": 32, "float16": 16}
KNOWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"}
"""Operators that onnxruntime has; all others would need a library."""

OPTIONAL = ("mask", "positions", "kept", "rows")
_PAST = (3, 4)
"""Inputs of GroupQueryAttention that are past keys and values; outputs 1 and 2 are the present ones."""


@dataclass(frozen=True, slots=True)
class Caches:
    layers: int
    kv_heads: int
    head_size: int
    bits: int


def check_operators(folder: Path, facts: GraphFacts) -> None:
    """Raises BundleError for operators of a library that nobody loads, and for a cache that forgets."""
    if foreign := sorted(facts.domains - KNOWN_DOMAINS):
        cannot(folder, f"uses operators of {ascii(foreign[0])[:60]}, and no library of operators is loaded")
    if any(one.attributes.get("sliding_window_cache") for one in facts.attentions):
        cannot(folder, "lets its KV cache slide inside the graph, so that earlier turns cannot be kept")


def match(folder: Path, facts: GraphFacts, names: Contract) -> tuple[Contract, int]:
    """(the contract of the graph, its layers). Raises BundleError for an input that nobody knows how to fill."""
    inputs, outputs = facts.inputs, facts.outputs
    if names.tokens not in inputs:
        given = next(iter(inputs), "nothing")
        cannot(folder, f"has a graph that takes {ascii(given)[:60]} and no {names.tokens}, so it is no text decoder")
    layers = next(layer for layer in count() if names.past_key.replace(LAYER, str(layer)) not in inputs)
    if not layers:
        cannot(
            folder,
            "has a graph without a KV cache",
            "export it again with one: optimum-cli export onnx --task text-generation-with-past",
        )
    absent: dict[str, Any] = {field: "" for field in OPTIONAL if getattr(names, field) not in inputs}
    contract = replace(names, **absent)
    caches = contract.caches(layers)
    wanted = {getattr(contract, field) for field in ("tokens", *OPTIONAL)} - {""}
    wanted |= {past for past, _ in caches}
    if unknown := [name for name in inputs if name not in wanted]:
        cannot(folder, f"has a graph with the input {ascii(unknown[0])[:60]}, which is not one of a text decoder's")
    if missing := [name for name in wanted - inputs.keys()]:
        cannot(folder, f"has a graph without the input {missing[0]}")
    for name in (contract.logits, *(present for _, present in caches)):
        if name not in outputs:
            cannot(folder, f"has a graph without the output {ascii(name)[:60]}")
    if contract.positions and len(inputs[contract.positions].shape) != 2:
        cannot(folder, "counts positions in several dimensions, as models of pictures do")
    return replace(contract, shared=_in_place(facts, caches)), layers


def _in_place(facts: GraphFacts, caches: list[tuple[str, str]]) -> bool:
    """Whether every key and value goes straight from its input through attention to its output."""
    served = {
        (node.inputs[past], node.outputs[present])
        for node in facts.attentions
        for present, past in enumerate(_PAST, 1)
        if len(node.inputs) > past and len(node.outputs) > present
    }
    return all(pair in served for pair in caches)


def measure_caches(folder: Path, facts: GraphFacts, contract: Contract, layers: int, told: Described) -> Caches:
    """Shapes and type of the KV cache: the graph's own, or where it leaves them open, what the folder says."""
    pasts = [facts.inputs[past] for past, _ in contract.caches(layers)]
    kinds = {(one.dtype, _fixed(one, 1) or told.kv_heads, _fixed(one, 3) or told.head_size) for one in pasts}
    if len(kinds) > 1:
        cannot(folder, "has KV caches of several shapes, which are not supported")
    dtype, kv_heads, head_size = kinds.pop()
    if len(pasts[0].shape) != 4 or not kv_heads or not head_size:
        cannot(folder, "does not say how large its KV cache is")
    if any(_fixed(one, 2) is not None for one in pasts):
        cannot(folder, f"has a KV cache of {pasts[0].shape[2]} tokens that cannot grow")
    if dtype not in CACHE_BITS:
        cannot(folder, f"keeps its KV cache in {dtype}, and only float32 and float16 are supported")
    return Caches(layers, kv_heads, head_size, CACHE_BITS[dtype])


def _fixed(tensor: Tensor, axis: int) -> int | None:
    return tensor.shape[axis] if axis < len(tensor.shape) else None
