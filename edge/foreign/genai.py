"""Folders of onnxruntime-genai: genai_config.json names the graph, its inputs and outputs, and the tokens that end."""

from pathlib import Path
from typing import Any

from edge.bundle.contract import Contract
from edge.bundle.names import path_fault
from edge.foreign.described import Described, cannot, inner, read_object, size, token_ids

CONFIG = "genai_config.json"
OTHER_PARTS = ("vision", "speech", "embedding", "encoder")
SHORT_REGIME = {"phi3": 4096, "phimoe": 4096, "phi3v": 4096, "phi3small": 8192}
"""Tokens from which on these families rotate with other factors (their original_max_position_embeddings, which
genai_config.json does not repeat)."""

_NAMES = {
    "tokens": ("inputs", "input_ids", "input_ids"),
    "mask": ("inputs", "attention_mask", "attention_mask"),
    "positions": ("inputs", "position_ids", "position_ids"),
    "past_key": ("inputs", "past_key_names", "past_key_values.%d.key"),
    "past_value": ("inputs", "past_value_names", "past_key_values.%d.value"),
    "logits": ("outputs", "logits", "logits"),
    "present_key": ("outputs", "present_key_names", "present.%d.key"),
    "present_value": ("outputs", "present_value_names", "present.%d.value"),
}
"""Field of the contract: where genai_config.json has it, and onnxruntime-genai's own default."""


def describe_genai(folder: Path, graph: str = "") -> Described:
    """With `graph`, a file of the folder, or else the decoder that is named there. Raises BundleError, also for what
    runs in onnxruntime-genai only."""
    config = read_object(folder, CONFIG)
    model = inner(config, "model")
    decoder = inner(model, "decoder")
    for part in OTHER_PARTS:
        if inner(model, part).get("filename"):
            cannot(folder, f"has a graph for {part} beside its decoder, and only text decoders of others are run")
    if decoder.get("pipeline"):
        cannot(folder, "cuts its decoder into a pipeline of graphs, which only onnxruntime-genai runs")
    if decoder.get("sliding_window"):
        cannot(folder, "lets its KV cache slide, which only onnxruntime-genai does")
    if inner(decoder, "session_options").get("custom_ops_library"):
        cannot(folder, "brings a library of operators, and nothing in a folder is executed as code")
    named = graph or decoder.get("filename")
    if not isinstance(named, str) or path_fault(named) or not named.endswith(".onnx"):
        cannot(folder, f"names no .onnx file of its own as decoder in {CONFIG}")
    heads = size(decoder, "num_attention_heads")
    return Described(
        str(model.get("type", "decoder")),
        named,
        _names(folder, decoder),
        size(model, "context_length"),
        size(model, "vocab_size"),
        size(decoder, "hidden_size"),
        size(decoder, "num_key_value_heads") or heads,
        size(decoder, "head_size"),
        token_ids(model.get("eos_token_id")),
        next(iter(token_ids(model.get("bos_token_id"))), None),
    )


def _names(folder: Path, decoder: dict[str, Any]) -> Contract:
    found: dict[str, Any] = {}
    for field, (side, key, default) in _NAMES.items():
        name = inner(decoder, side).get(key, default)
        if not isinstance(name, str):
            cannot(folder, f"gives no name to {key} in {CONFIG}")
        found[field] = name
    contract = Contract(**found)
    if fault := contract.fault():
        cannot(folder, f"has names in {CONFIG} that cannot be used: {fault}")
    return contract
