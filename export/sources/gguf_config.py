"""GGUF metadata as the contents of a Hugging Face config.json and generation_config.json."""

import math
from typing import Any

import numpy as np

from edge.errors import CheckpointError
from export.sources.gguf_header import DAMAGED_HINT

_CLASSES = {"llama": "LlamaForCausalLM", "phi3": "Phi3ForCausalLM"}
_CONTROL = 3
_END_OF_TURN = ("<|end|>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>")


class Metadata:
    """Typed access to the metadata keys; every error names the file and the key."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.values = values
        self.where = where

    def wrong(self, key: str, value: object, wanted: str) -> CheckpointError:
        return CheckpointError(f"{self.where}: {key} is {str(value)[:60]}, not {wanted}", DAMAGED_HINT)

    def integer(self, key: str, default: int | None = None, least: int = 1) -> int:
        value = self.values.get(key, default)
        if value is None:
            raise CheckpointError(f"{self.where} does not say {key}", "convert the model again with llama.cpp")
        if type(value) is not int or not least <= value < 1 << 31:
            raise self.wrong(key, value, f"a whole number of at least {least}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Stored as float32; the shortest decimal of that value is what config.json said (1e-05, not 9.99e-06)."""
        value = self.values.get(key, default)
        if value is None:
            raise CheckpointError(f"{self.where} does not say {key}", "convert the model again with llama.cpp")
        if type(value) not in (int, float) or not math.isfinite(value) or not 0 < value < 1e30:
            raise self.wrong(key, value, "a positive finite number")
        return float(str(np.float32(value)))

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, value, "a text")
        return value

    def token(self, name: str, vocab_size: int) -> int | None:
        key = f"tokenizer.ggml.{name}_token_id"
        if key not in self.values:
            return None
        value = self.integer(key, least=0)
        if value >= vocab_size:
            raise self.wrong(key, value, f"an id below the vocabulary size {vocab_size}")
        return value


def model_config(
    meta: Metadata, architecture: str, vocab_size: int, tied: bool, side: dict[str, np.ndarray]
) -> dict[str, Any]:
    """config.json of a llama or phi3 GGUF. `side` holds the rope constants of the file, by their GGUF names.

    `rope_freqs` (list, head_dim / 2) is no Hugging Face key: Llama 3's scaling is only stored as its result, divisors
    of the inverse frequencies. `sliding_window` is given only when it is shorter than the context.
    """
    key = architecture + "."
    hidden = meta.integer(key + "embedding_length")
    heads = meta.integer(key + "attention.head_count")
    if hidden % heads and key + "attention.key_length" not in meta.values:
        raise meta.wrong(key + "attention.head_count", heads, f"a divisor of the width {hidden}")
    head_dim = meta.integer(key + "attention.key_length", hidden // heads)
    if meta.integer(key + "attention.value_length", head_dim) != head_dim:
        raise CheckpointError(
            f"{meta.where}: keys of {head_dim} and values of another size are not supported",
            "export another model",
        )
    kv_heads = meta.integer(key + "attention.head_count_kv", heads)
    if heads % kv_heads:
        raise meta.wrong(key + "attention.head_count_kv", kv_heads, f"a divisor of {heads} heads")
    context = meta.integer(key + "context_length")
    config: dict[str, Any] = {
        "architectures": [_CLASSES[architecture]],
        "model_type": architecture,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": meta.integer(key + "feed_forward_length"),
        "num_hidden_layers": meta.integer(key + "block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "vocab_size": vocab_size,
        "max_position_embeddings": context,
        "rms_norm_eps": meta.number(key + "attention.layer_norm_rms_epsilon"),
        "rope_theta": meta.number(key + "rope.freq_base", 10000.0),
        "tie_word_embeddings": tied,
        "attention_bias": False,
        "mlp_bias": False,
    }
    window = meta.integer(key + "attention.sliding_window", 0, least=0)
    if 0 < window < context:
        config["sliding_window"] = window
    for name in ("bos", "eos"):
        config[f"{name}_token_id"] = meta.token(name, vocab_size)
    config["pad_token_id"] = meta.token("padding", vocab_size)
    return config | _rope(meta, architecture, head_dim, context, side)


def _rope(
    meta: Metadata, architecture: str, head_dim: int, context: int, side: dict[str, np.ndarray]
) -> dict[str, Any]:
    """The rotary part. rope.scaling.attn_factor is not used: some files carry 1.0 there, while the reference
    computes sqrt(1 + ln(context / original) / ln(original)) from the two lengths that are given here."""
    key = architecture + ".rope."
    rotary_dim = meta.integer(key + "dimension_count", head_dim)
    if rotary_dim > head_dim or rotary_dim % 2 or (architecture == "llama" and rotary_dim != head_dim):
        raise meta.wrong(key + "dimension_count", rotary_dim, f"possible with heads of {head_dim}")
    for name, values in side.items():
        if values.shape != (rotary_dim // 2,) or not (values > 0).all():
            raise CheckpointError(
                f"{meta.where}: tensor {name!r} is not {rotary_dim // 2} positive numbers", DAMAGED_HINT
            )
    found: dict[str, Any] = {}
    if architecture == "phi3":
        found["partial_rotary_factor"] = rotary_dim / head_dim
        found["original_max_position_embeddings"] = context
    long, short = (side.get(f"rope_factors_{which}.weight") for which in ("long", "short"))
    if long is not None or short is not None:
        if long is None or short is None:
            raise CheckpointError(f"{meta.where} holds only one of the two LongRoPE tables", DAMAGED_HINT)
        found["original_max_position_embeddings"] = meta.integer(key + "scaling.original_context_length")
        found["rope_scaling"] = {
            "type": "longrope",
            "rope_type": "longrope",
            "short_factor": short.tolist(),
            "long_factor": long.tolist(),
        }
        return found
    freqs = side.get("rope_freqs.weight")
    if freqs is not None and (freqs != 1).any():
        found["rope_freqs"] = freqs.tolist()
    kind = meta.text(key + "scaling.type") or "linear"
    factor = meta.number(key + "scaling.factor", meta.values.get(key + "scale_linear", 1.0))
    if kind == "linear" and factor != 1:
        found["rope_scaling"] = {"type": "linear", "rope_type": "linear", "factor": factor}
    elif kind not in ("linear", "none"):
        raise CheckpointError(
            f"{meta.where} uses the rope scaling {kind!r}; none, linear, longrope and Llama 3's are supported",
            "export a variant of the model with a shorter context",
        )
    return found


def generation_config(meta: Metadata, vocab_size: int) -> dict[str, Any]:
    """generation_config.json: every token that ends an answer, the metadata's own first.

    A GGUF file names one end token, or two; the end-of-turn token of the chat format may be a third.
    """
    named = [meta.token(name, vocab_size) for name in ("eos", "eot", "eom")]
    texts = meta.values.get("tokenizer.ggml.tokens")
    kinds = meta.values.get("tokenizer.ggml.token_type")
    control: set[int] = set()
    if isinstance(kinds, np.ndarray):
        control = set(np.flatnonzero(kinds == _CONTROL).tolist())
    if isinstance(texts, list):
        named += [i for i, text in enumerate(texts[:vocab_size]) if text in _END_OF_TURN and i in control]
    stop = list(dict.fromkeys(i for i in named if i is not None))
    return {"bos_token_id": meta.token("bos", vocab_size), "eos_token_id": stop}
