"""Small GGUF files with random weights, written with the gguf package's own writer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, VOCAB = 64, 96, 2, 4, 2, 300
HEAD_DIM = HIDDEN // HEADS

METADATA: dict[str, Any] = {
    "block_count": LAYERS,
    "context_length": 256,
    "embedding_length": HIDDEN,
    "feed_forward_length": INNER,
    "attention.head_count": HEADS,
    "attention.head_count_kv": KV_HEADS,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 10000.0,
    "rope.dimension_count": HEAD_DIM,
}


def llama_weights(seed: int = 0) -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (VOCAB, HIDDEN),
        "output_norm.weight": (HIDDEN,),
        "output.weight": (VOCAB, HIDDEN),
    }
    for layer in range(LAYERS):
        for part, shape in {
            "attn_norm": (HIDDEN,),
            "attn_q": (HIDDEN, HIDDEN),
            "attn_k": (KV_HEADS * HEAD_DIM, HIDDEN),
            "attn_v": (KV_HEADS * HEAD_DIM, HIDDEN),
            "attn_output": (HIDDEN, HIDDEN),
            "ffn_norm": (HIDDEN,),
            "ffn_gate": (INNER, HIDDEN),
            "ffn_up": (INNER, HIDDEN),
            "ffn_down": (HIDDEN, INNER),
        }.items():
            shapes[f"blk.{layer}.{part}.weight"] = shape
    return _random(shapes, seed)


def phi3_weights(rotary: int, seed: int = 0) -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (VOCAB, HIDDEN),
        "output_norm.weight": (HIDDEN,),
        "rope_factors_long.weight": (rotary // 2,),
        "rope_factors_short.weight": (rotary // 2,),
    }
    for layer in range(LAYERS):
        for part, shape in {
            "attn_norm": (HIDDEN,),
            "attn_qkv": (HIDDEN + 2 * KV_HEADS * HEAD_DIM, HIDDEN),
            "attn_output": (HIDDEN, HIDDEN),
            "ffn_norm": (HIDDEN,),
            "ffn_up": (2 * INNER, HIDDEN),
            "ffn_down": (HIDDEN, INNER),
        }.items():
            shapes[f"blk.{layer}.{part}.weight"] = shape
    weights = _random(shapes, seed)
    weights["rope_factors_short.weight"][:] = 1
    weights["rope_factors_long.weight"][:] = np.linspace(1, 40, rotary // 2)
    return weights


def _random(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def write_gguf(
    path: Path,
    weights: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any] | None = None,
    architecture: str = "llama",
    types: Mapping[str, gguf.GGMLQuantizationType] | None = None,
    tokenizer: Mapping[str, Any] | None = None,
) -> Path:
    """`metadata` adds to METADATA (a value of None takes a key away); `types` says what already packed bytes are."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in (METADATA | dict(metadata or {})).items():
        if value is not None:
            add_key(writer, key if "." in key and key.split(".")[0] == "split" else f"{architecture}.{key}", value)
    for key, value in (tokenizer or {}).items():
        add_key(writer, f"tokenizer.{key}", value)
    for name, values in weights.items():
        writer.add_tensor(name, values, raw_dtype=(types or {}).get(name))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_key(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
