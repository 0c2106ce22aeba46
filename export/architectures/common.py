"""Fields that every supported architecture reads in the same way."""

from typing import Any

from edge.errors import CheckpointError
from export.architectures.config import HINT, ConfigReader
from export.architectures.rope import read_rotary
from export.architectures.spec import DecoderSpec, LayerTensors
from export.sources.checkpoint import Checkpoint

MAX_CONTEXT = 1 << 24
MAX_HEAD_SIZE = 8192


def base_spec(checkpoint: Checkpoint, layer_tensors: Any, **overrides: Any) -> DecoderSpec:
    """The spec of `checkpoint`; `layer_tensors(index)` names a layer's tensors, overrides are DecoderSpec fields."""
    config = ConfigReader(checkpoint.config)
    config.require("hidden_act", "silu", "silu")
    config.require("attention_bias", False, False)
    config.require("mlp_bias", False, False)
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    kv_heads = config.integer("num_key_value_heads", heads)
    if config.values.get("head_dim") is None and hidden % heads:
        raise CheckpointError(f"config.json: hidden_size {hidden} cannot be split into {heads} attention heads", HINT)
    head_size = config.integer("head_dim", hidden // heads, high=MAX_HEAD_SIZE)
    if heads % kv_heads:
        raise CheckpointError(f"config.json: {heads} heads cannot share num_key_value_heads {kv_heads}", HINT)
    if head_size % 8:
        raise CheckpointError(f"config.json: head_dim {head_size} is not a multiple of 8", HINT)
    vocab = config.integer("vocab_size", high=1 << 22)
    context = config.integer("max_position_embeddings", high=MAX_CONTEXT)
    layers = config.integer("num_hidden_layers", high=1024)
    window = config.integer("sliding_window", 0, low=0, high=1 << 30)
    generation = ConfigReader(checkpoint.generation_config, "generation_config.json")
    stop = generation.token_ids("eos_token_id", vocab) + config.token_ids("eos_token_id", vocab)
    tied = config.flag("tie_word_embeddings", False)
    fields: dict[str, Any] = {
        "architecture": checkpoint.config["model_type"],
        "layers": layers,
        "hidden_size": hidden,
        "intermediate_size": config.integer("intermediate_size"),
        "heads": heads,
        "kv_heads": kv_heads,
        "head_size": head_size,
        "vocab_size": vocab,
        "context_length": context,
        "norm_epsilon": config.number("rms_norm_eps", high=1.0),
        "rotary": read_rotary(config, head_size, context),
        "tied_embedding": tied,
        "layer_tensors": [layer_tensors(index) for index in range(layers)],
        "sliding_window": window if window < context else 0,
        "attention_scale": head_size**-0.5,
        "stop_tokens": list(dict.fromkeys(stop)),
        "bos_token": next(iter(config.token_ids("bos_token_id", vocab)), None),
    }
    return DecoderSpec(**{**fields, **overrides})


def split_layer(index: int) -> LayerTensors:
    """Llama-style names: q, k, v and gate, up are matrices of their own."""
    prefix = f"model.layers.{index}."
    attention, mlp = prefix + "self_attn.", prefix + "mlp."
    return LayerTensors(
        input_norm=prefix + "input_layernorm.weight",
        qkv=(attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"),
        attention_out=attention + "o_proj.weight",
        mlp_norm=prefix + "post_attention_layernorm.weight",
        gate_up=(mlp + "gate_proj.weight", mlp + "up_proj.weight"),
        down=mlp + "down_proj.weight",
    )
