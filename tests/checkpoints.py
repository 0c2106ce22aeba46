"""Small random checkpoints as Hugging Face directories, made without torch, and a tokenizer to go with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

ROLES = ("<|assistant|>", "<|end|>", "<|user|>", "<|system|>")
TOOLS = ("<|tool|>", "<|/tool|>", "<|tool_call|>", "<|/tool_call|>")
VOCAB = 512

BASE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCAB,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "pad_token_id": None,
}
ORIGINAL_CONTEXT = 64
ROTARY_PAIRS = 24


def config(model_type: str, **changes: Any) -> dict[str, Any]:
    """A valid config.json; phi3 has partial rotary 0.75 of 64 and LongRoPE from 64 tokens on."""
    own: dict[str, dict[str, Any]] = {
        "llama": {"head_dim": 32, "rope_theta": 10000.0},
        "granite": {
            "embedding_multiplier": 3.0,
            "attention_multiplier": 0.1,
            "residual_multiplier": 0.22,
            "logits_scaling": 2.0,
            "rope_theta": 10000.0,
        },
        "phi3": {
            "hidden_size": 256,
            "partial_rotary_factor": 0.75,
            "original_max_position_embeddings": ORIGINAL_CONTEXT,
            "rope_theta": 10000.0,
            "rope_scaling": {
                "type": "longrope",
                "short_factor": [1.0 + 0.01 * i for i in range(ROTARY_PAIRS)],
                "long_factor": [1.0 + i for i in range(ROTARY_PAIRS)],
            },
        },
    }
    return {"model_type": model_type, **BASE, **own[model_type], **changes}


def tensors(cfg: dict[str, Any], seed: int = 0, scale: float = 0.05) -> dict[str, np.ndarray]:
    """Random float32 weights under Hugging Face names; norms near 1."""
    random = np.random.default_rng(seed)
    hidden, inter = cfg["hidden_size"], cfg["intermediate_size"]
    head = cfg.get("head_dim", hidden // cfg["num_attention_heads"])
    q, kv = cfg["num_attention_heads"] * head, cfg["num_key_value_heads"] * head
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (cfg["vocab_size"], hidden)}
    for layer in range(cfg["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        matrices = {"self_attn.o_proj": (hidden, q), "mlp.down_proj": (hidden, inter)}
        if cfg["model_type"] == "phi3":
            matrices |= {"self_attn.qkv_proj": (q + 2 * kv, hidden), "mlp.gate_up_proj": (2 * inter, hidden)}
        else:
            matrices |= {"self_attn.q_proj": (q, hidden), "self_attn.k_proj": (kv, hidden)}
            matrices |= {"self_attn.v_proj": (kv, hidden)}
            matrices |= {"mlp.gate_proj": (inter, hidden), "mlp.up_proj": (inter, hidden)}
        shapes |= {f"{prefix}{name}.weight": shape for name, shape in matrices.items()}
        shapes |= {f"{prefix}{name}.weight": (hidden,) for name in ("input_layernorm", "post_attention_layernorm")}
    shapes["model.norm.weight"] = (hidden,)
    if not cfg["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (cfg["vocab_size"], hidden)
    made = {}
    for name, shape in shapes.items():
        noise = random.standard_normal(shape) * scale
        made[name] = (1 + noise if len(shape) == 1 else noise).astype(np.float32)
    return made


def tokenizer(vocab_size: int = VOCAB) -> Tokenizer:
    """Byte-level BPE without merges: 256 byte tokens, fillers, then Phi-4's role and tool tokens at the end."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>", *ROLES, *TOOLS]
    plain = alphabet + [f"filler{i}" for i in range(vocab_size - len(alphabet) - len(special) - 4)]
    made = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(plain)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, rstrip=token in ROLES) for token in special[:5]])
    made.add_tokens([AddedToken(token, special=False) for token in TOOLS])
    return made


def write_checkpoint(directory: Path, cfg: dict[str, Any], weights: dict[str, np.ndarray], shards: int = 1) -> Path:
    """config.json, tokenizer.json and safetensors, in `shards` files with an index when more than one."""
    directory.mkdir(parents=True)
    made = tokenizer(cfg["vocab_size"])
    ends = [made.token_to_id("<|end|>"), made.token_to_id("<|endoftext|>")]
    (directory / "config.json").write_text(json.dumps(cfg))
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    (directory / "tokenizer.json").write_text(made.to_str())
    names = sorted(weights)
    if shards == 1:
        save_file(weights, directory / "model.safetensors")
        return directory
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        own = names[shard::shards]
        save_file({name: weights[name] for name in own}, directory / file)
        weight_map |= dict.fromkeys(own, file)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return directory


def random_checkpoint(directory: Path, model_type: str, seed: int = 0, **changes: Any) -> Path:
    cfg = config(model_type, **changes)
    return write_checkpoint(directory, cfg, tensors(cfg, seed))
