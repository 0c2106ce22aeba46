"""Folders of Optimum, as onnx-community ships them: config.json, and the decoder as model.onnx or onnx/model*.onnx."""

from pathlib import Path
from typing import Any

from edge.bundle.contract import Contract
from edge.foreign.described import Described, cannot, inner, read_object, size, token_ids

CONFIG = "config.json"
FOLDERS = ("onnx", "")
"""Where graphs lie, seen from config.json."""

NAMES = Contract(
    tokens="input_ids",
    logits="logits",
    past_key="past_key_values.%d.key",
    past_value="past_key_values.%d.value",
    present_key="present.%d.key",
    present_value="present.%d.value",
    mask="attention_mask",
    positions="position_ids",
    kept="num_logits_to_keep",
    rows="logit_rows",
)


def graphs_of(folder: Path) -> list[str]:
    """Files of the folder that may be its decoder, model.onnx first."""
    found = [
        f"{place}/{file.name}" if place else file.name
        for place in FOLDERS
        for file in sorted((folder / place).glob("*.onnx"))
    ]
    return sorted(found, key=lambda name: Path(name).name != "model.onnx")


def describe_optimum(folder: Path, graph: str = "") -> Described:
    """With `graph`, a file of the folder, or else with the only one there is or model.onnx. Raises BundleError."""
    config = read_object(folder, CONFIG)
    if config.get("is_encoder_decoder") is True:
        cannot(folder, "is an encoder with a decoder, and only decoders alone are run")
    text = inner(config, "text_config") or config
    generation = read_object(folder, "generation_config.json")
    heads, hidden = size(text, "num_attention_heads", "n_head"), size(text, "hidden_size", "n_embd")
    return Described(
        str(config.get("model_type", "decoder")),
        graph or _choose(folder),
        NAMES,
        size(text, "max_position_embeddings", "n_positions", "seq_length", "max_seq_len"),
        size(text, "vocab_size"),
        hidden,
        size(text, "num_key_value_heads") or heads,
        size(text, "head_dim") or (hidden // heads if heads else 0),
        token_ids(*_said("eos_token_id", generation, config, text)),
        next(iter(token_ids(*_said("bos_token_id", generation, config, text))), None),
    )


def _said(key: str, *configs: dict[str, Any]) -> list[Any]:
    """generation_config.json is what transformers follows; the others speak only where it is silent."""
    return [config[key] for config in configs if config.get(key) is not None][:1]


def _choose(folder: Path) -> str:
    names = graphs_of(folder)
    if not names:
        cannot(folder, "has no .onnx file, neither beside config.json nor in onnx/")
    if len(names) > 1 and Path(names[0]).name != "model.onnx":
        listed = ", ".join(Path(name).name for name in names[:6])
        cannot(folder, f"has several graphs and no model.onnx: {listed}", f"name one: -b {folder / names[0]}")
    return names[0]
